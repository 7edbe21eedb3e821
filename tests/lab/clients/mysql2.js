// Node's mysql2 against a running server: node mysql2.js HOST PORT. Ends with "ok", or throws.
'use strict';
const assert = require('node:assert/strict');
const mysql = require('mysql2/promise');

const CREATE = `CREATE TABLE kinds (id BIGINT NOT NULL, flag BOOLEAN, tiny TINYINT, ubig BIGINT UNSIGNED, price DECIMAL(20,4), single FLOAT,
  precise DOUBLE, name VARCHAR(100), note TEXT, raw VARBINARY(64), day DATE, clock TIME(6), moment DATETIME(6), instant TIMESTAMP(6), yr YEAR,
  doc JSON, color ENUM('red','green'), PRIMARY KEY (id)) ENGINE='OSS'`;
const FULL = {
  id: 1, flag: 1, tiny: -128, ubig: '18446744073709551615', price: '1234567890123456.7891', single: 1.5, precise: -2.5e-300, name: "Łódź 東京 🚆 'q'",
  note: 'line\nline\ttab\0', raw: Buffer.from([0, 255, 39, 92, 10, 13, 26]), day: '2024-02-29', clock: '23:59:59.999999',
  moment: '2022-07-05 11:11:11.123456', instant: '2022-07-05 11:11:11.654321', yr: 2024, doc: { a: [1, 2.5, null, 'ü'] }, color: 'green',
};
const NULLS = Object.fromEntries(Object.keys(FULL).map((name) => [name, name === 'id' ? 2 : null]));

function same(got, want) {
  assert.deepEqual(Object.keys(got), Object.keys(want));
  for (const name of Object.keys(want)) {
    const value = name === 'doc' && typeof got[name] === 'string' ? JSON.parse(got[name]) : got[name];
    const plain = name === 'ubig' && value !== null ? String(value) : value;
    assert.deepEqual(plain, want[name], name);
  }
}

async function main() {
  const [host, port] = process.argv.slice(2);
  const options = { host, port: Number(port), user: 'root', password: '', dateStrings: true, supportBigNumbers: true, bigNumberStrings: false };
  const connection = await mysql.createConnection(options);
  await connection.query('CREATE DATABASE node_mysql');
  await connection.changeUser({ user: 'root', password: '', database: 'node_mysql' });
  await connection.query(CREATE);

  // Text protocol with interpolation, and the binary protocol with real parameters.
  await connection.query('INSERT INTO kinds VALUES (?)', [Object.values({ ...FULL, doc: JSON.stringify(FULL.doc) })]);
  const marks = Object.keys(NULLS).map(() => '?').join(', ');
  const [inserted] = await connection.execute(`INSERT INTO kinds VALUES (${marks})`, Object.values(NULLS));
  assert.equal(inserted.affectedRows, 1);
  await connection.execute(`INSERT INTO kinds VALUES (${marks})`, Object.values({ ...FULL, id: 3, doc: JSON.stringify(FULL.doc) }));
  for (const [rows, fields] of [
    await connection.query('SELECT * FROM kinds ORDER BY id'),
    await connection.execute('SELECT * FROM kinds WHERE id < ? ORDER BY id', [100]),
  ]) {
    assert.equal(rows.length, 3);
    same(rows[0], FULL);
    same(rows[1], NULLS);
    same(rows[2], { ...FULL, id: 3 });
    assert.equal(fields[0].name, 'id');
    assert.equal(fields.find((f) => f.name === 'price').orgTable, 'kinds');
  }
  const [typed] = await mysql.createConnection({ ...options, dateStrings: false, database: 'node_mysql', timezone: 'Z' }).then(async (c) => {
    const [rows] = await c.execute('SELECT moment FROM kinds WHERE moment = ? AND id = 1', [new Date('2022-07-05T11:11:11.123456Z')]).catch((e) => { throw e; });
    const [all] = await c.execute('SELECT day, moment FROM kinds WHERE id = 1');
    await c.end();
    assert.equal(rows.length, 0, 'milliseconds are not microseconds');
    return all;
  });
  assert.equal(typed.moment.toISOString(), '2022-07-05T11:11:11.123Z');

  // Transactions, counts, the past.
  await connection.beginTransaction();
  const [updated] = await connection.execute('UPDATE kinds SET tiny = ? WHERE id IN (1, 3)', [7]);
  assert.equal(updated.affectedRows, 2);
  await connection.rollback();
  const [[{ t }]] = await connection.query('SELECT SUM(tiny) AS t FROM kinds');
  assert.equal(Number(t), -256);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const [[{ moment }]] = await connection.query('SELECT NOW(6) AS moment');
  await new Promise((resolve) => setTimeout(resolve, 5));
  await connection.beginTransaction();
  const [deleted] = await connection.query('DELETE FROM kinds');
  assert.equal(deleted.affectedRows, 3);
  await connection.commit();
  const [past] = await connection.query('SELECT id FROM kinds AS OF TIMESTAMP ? ORDER BY id', [moment]);
  const [prepared] = await connection.execute('SELECT id FROM kinds AS OF TIMESTAMP ? ORDER BY id', [moment]);
  for (const rows of [past, prepared]) assert.deepEqual(rows.map((row) => row.id), [1, 2, 3]);
  assert.deepEqual((await connection.query('SELECT * FROM kinds'))[0], []);

  // Errors, with what a program acts on.
  for (const [text, errno, sqlState, code] of [
    ['SELECT * FROM nowhere', 1146, '42S02', 'ER_NO_SUCH_TABLE'],
    ['SELEKT 1', 1064, '42000', 'ER_PARSE_ERROR'],
    ['INSERT INTO kinds (id) VALUES (NULL)', 1048, '23000', 'ER_BAD_NULL_ERROR'],
  ]) {
    await assert.rejects(connection.query(text), (error) => error.errno === errno && error.sqlState === sqlState && error.code === code, text);
    await assert.rejects(connection.execute(text), (error) => error.errno === errno, text);
  }
  await connection.ping();
  await connection.end();

  // A pool, several statements in one text, a big value.
  const pool = mysql.createPool({ ...options, database: 'node_mysql', multipleStatements: true, connectionLimit: 3 });
  const answers = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => pool.query('SELECT ? AS n', [n])));
  assert.deepEqual(answers.map(([[row]]) => row.n), [1, 2, 3, 4, 5, 6]);
  const [[first, second]] = await pool.query('SELECT 1 AS a; SELECT 2 AS b');
  assert.deepEqual([first[0].a, second[0].b], [1, 2]);
  const big = 'y'.repeat(3 << 20);
  const [[{ long }]] = await pool.execute('SELECT ? AS `long`', [big]);
  assert.equal(long, big);
  await pool.end();
  console.log('ok');
}

main().catch((error) => { console.error(error); process.exit(1); });
