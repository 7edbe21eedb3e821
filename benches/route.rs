//! What the question "does this statement concern us?" costs: one scan of an ordinary statement of 200 bytes, for each
//! protocol, with 1,000 cold tables known. The goal is under a microsecond.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flashgate::route::{Scanner, Verdict};
use flashgate::sql::Dialect;

/// As an ORM sends them: quoted names, a join, literals; none of them ours. Each has 200 bytes.
const MYSQL: &str = "SELECT `u`.`id`, `u`.`name`, `o`.`total` FROM `users` `u` JOIN `orders` `o` ON `o`.`user_id` = `u`.`id` WHERE `u`.`email` = \
'an@foo.com' AND `o`.`state` IN ('paid', 'sent') ORDER BY `o`.`id` LIMIT 20;";
const POSTGRES: &str = "SELECT u.id, u.name, o.total FROM users AS u INNER JOIN orders AS o ON o.user_id = u.id WHERE u.email = $1 AND o.state IN \
('paid', 'sent') AND o.created_at >= '2022-07-05 11:11:11' ORDER BY o.id DESC;";

fn route(c: &mut Criterion) {
    let names: Vec<String> = (0..1000).map(|i| format!("archive_{i}")).chain(["oss_orders".to_owned()]).collect();
    let scanner = Scanner::new(names.iter().map(String::as_str));
    let mut group = c.benchmark_group("route");
    for (name, dialect, text) in [("mysql", Dialect::MYSQL, MYSQL), ("postgres", Dialect::POSTGRES, POSTGRES)] {
        assert_eq!(text.len(), 200, "{name}");
        assert_eq!(scanner.scan(&dialect, text.as_bytes()), Verdict::Upstream);
        let ours = format!("{} /* */ oss_orders", text.trim_end_matches(';'));
        assert_eq!(scanner.scan(&dialect, ours.as_bytes()), Verdict::MaybeLocal);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("{name}, 200 bytes, not ours"), |b| {
            b.iter(|| scanner.scan(black_box(&dialect), black_box(text.as_bytes())))
        });
        group.bench_function(format!("{name}, ours by its last word"), |b| {
            b.iter(|| scanner.scan(black_box(&dialect), black_box(ours.as_bytes())))
        });
    }
    group.finish();
}

criterion_group!(benches, route);
criterion_main!(benches);
