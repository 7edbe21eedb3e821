// Node's pg through Flashgate in front of a PostgreSQL: node relay_pg.js HOST PORT MARK plain|tls.
// MARK begins the names of its tables. Prints what it reads of twin_hot and twin_cold as JSON, then "ok"; or throws.
'use strict';
const assert = require('node:assert/strict');
const { Client, Pool } = require('pg');

const [host, port, mark, leg] = process.argv.slice(2);
const hot = `${mark}_h`;
const cold = `${mark}_c`;
const options = { host, port: Number(port), user: 'root', database: 'hot', ssl: leg === 'tls' ? { rejectUnauthorized: false } : false };
const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

async function refused(promise, code, what) {
  await assert.rejects(promise, (error) => { assert.equal(error.code, code, `${what}: ${error.message}`); return true; }, what);
}

// A simple query where there are no values, an unnamed statement, and a named one, by turns.
let names = 0;
async function all(c, text, values, want) {
  const ways = [{ text, values, queryMode: 'extended' }, { name: `${mark}_${names++}`, text, values },
    ...(values.length ? [] : [{ text }])];
  for (const way of [...ways, ways[1]]) {
    const { rows } = await c.query({ ...way, rowMode: 'array' });
    assert.deepEqual(rows, want, `${JSON.stringify(way)}`);
  }
}

async function turns(c) {
  await c.query(`CREATE TABLE ${hot} (id SERIAL PRIMARY KEY, name VARCHAR(50))`);
  await c.query(`CREATE TABLE ${cold} (id INT NOT NULL, name VARCHAR(50), PRIMARY KEY (id)) WITH (engine='OSS')`);
  for (let id = 1; id <= 3; id++) {
    const one = await c.query(`INSERT INTO ${hot} (name) VALUES ($1) RETURNING id`, [`h${id}`]);
    const other = await c.query(`INSERT INTO ${cold} VALUES ($1, $2)`, [id, `c${id}`]);
    assert.deepEqual([one.rows[0].id, one.rowCount, other.rowCount, other.command], [id, 1, 1, 'INSERT']);
    await all(c, `SELECT id, name FROM ${cold} WHERE id = $1`, [id], [[id, `c${id}`]]);
    await all(c, `SELECT id, name FROM ${hot} WHERE id = $1`, [id], [[id, `h${id}`]]);
  }
  await pause();
  const moment = (await c.query("SELECT CAST(LOCALTIMESTAMP AS TEXT) AS m")).rows[0].m;
  await pause();
  assert.equal((await c.query(`UPDATE ${cold} SET name = 'new' WHERE id > $1`, [1])).rowCount, 2);
  await all(c, `SELECT name FROM ${cold} AS OF TIMESTAMP $1 ORDER BY id`, [moment], [['c1'], ['c2'], ['c3']]);
  await all(c, `SELECT name FROM ${cold} AS OF TIMESTAMP '${moment}' ORDER BY id`, [], [['c1'], ['c2'], ['c3']]);
  await all(c, `SELECT name FROM ${cold} ORDER BY id`, [], [['c1'], ['new'], ['new']]);
  await all(c, `SELECT name FROM ${hot} ORDER BY id`, [], [['h1'], ['h2'], ['h3']]);
  return moment;
}

async function transactions(c, moment) {
  await c.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await c.query(`INSERT INTO ${hot} (name) VALUES ($1)`, ['gone']);
  await all(c, `SELECT count(*) FROM ${cold}`, [], [['3']]);
  await all(c, `SELECT count(*) FROM ${cold} AS OF TIMESTAMP $1 WHERE name = $2`, [moment, 'c2'], [['1']]);
  await all(c, `SELECT count(*) FROM ${hot}`, [], [['4']]);
  await c.query('SAVEPOINT a');
  for (const [text, code] of [
    [`SELECT absent FROM ${cold}`, '42703'], [`SELECT absent FROM ${hot}`, '42703'], [`DELETE FROM ${cold}`, '55000'],
    [`SELECT 1/id FROM ${cold} WHERE 1/(id-id) = 1`, '22012'],
  ]) {
    for (const values of [undefined, []]) {
      await refused(c.query({ text, values, queryMode: values && 'extended' }), code, text);
      await refused(c.query(`SELECT count(*) FROM ${cold}`), '25P02', 'after an error');
      await refused(c.query(`SELECT count(*) FROM ${hot}`), '25P02', 'after an error');
      await c.query('ROLLBACK TO a');
      await all(c, `SELECT count(*) FROM ${cold}`, [], [['3']]);
    }
  }
  await c.query('ROLLBACK');
  await all(c, `SELECT count(*) FROM ${hot}`, [], [['3']]);
}

async function errors(c) {
  for (const queryMode of [undefined, 'extended']) {
    for (const [text, code] of [
      ['SELECT * FROM absent', '42P01'], [`SELECT absent FROM ${cold}`, '42703'], [`SELECT absent FROM ${hot}`, '42703'],
      [`SELECT id FROM ${cold} WHERE`, '42601'],
      [`SELECT id FROM ${cold} AS OF TIMESTAMP '2199-01-01 00:00:00'`, '22023'], [`INSERT INTO ${cold} VALUES (NULL, 'x')`, '23502'],
      [`INSERT INTO ${hot} VALUES (1, 'x')`, '23505'],
    ]) {
      await refused(c.query({ text, queryMode }), code, `${queryMode} ${text}`);
      await all(c, `SELECT count(*) FROM ${cold}`, [], [['3']]);
      await all(c, `SELECT count(*) FROM ${hot}`, [], [['3']]);
    }
  }
}

// Portals that are read in parts, as pg-cursor does: `rows` of a query suspends it between.
async function parts(c) {
  for (const [name, engine] of [[`${mark}_hs`, ''], [`${mark}_cs`, "WITH (engine='OSS')"]]) {
    await c.query(`CREATE TABLE ${name} (id INT, name TEXT) ${engine}`);
    const values = Array.from({ length: 500 }, (_, i) => `(${i}, 'row ${i}')`).join(', ');
    assert.equal((await c.query(`INSERT INTO ${name} VALUES ${values}`)).rowCount, 500);
  }
  await c.query('BEGIN');
  for (const name of [`${mark}_cs`, `${mark}_hs`, `${mark}_cs`]) {
    const { rows } = await c.query({ text: `SELECT id FROM ${name} WHERE id >= $1`, values: [0], rows: 7 });
    assert.equal(rows.length, 500, name);
  }
  await c.query('COMMIT');
}

async function pools() {
  const pool = new Pool({ ...options, max: 3 });
  const texts = [`SELECT count(*)::int AS n FROM ${cold}`, `SELECT count(*)::int AS n FROM ${hot}`];
  const answers = await Promise.all(Array.from({ length: 24 }, (_, i) =>
    pool.query(i % 3 ? { text: texts[i % 2] } : { name: `pool ${i % 2}`, text: texts[i % 2] })));
  assert.ok(answers.every(({ rows: [row] }) => row.n === 3));
  const several = await pool.query(`SELECT id FROM ${hot} WHERE id = 1; SELECT name FROM ${cold} WHERE id = 1; SELECT 'end' AS e`);
  assert.deepEqual(several.map(({ rows: [row] }) => Object.values(row)[0]), [1, 'c1', 'end']);
  // Events of the upstream reach a client whose statements are ours.
  const [one, other] = [await pool.connect(), await pool.connect()];
  const heard = new Promise((resolve) => one.once('notification', (n) => resolve(n.payload)));
  await one.query(`LISTEN ${mark}`);
  await other.query('SELECT pg_notify($1, $2)', [mark, 'hello']);
  await one.query(`SELECT * FROM ${cold}`);
  await one.query('SELECT 1');
  assert.equal(await heard, 'hello');
  one.release();
  other.release();
  await pool.end();
}

async function twins() {
  const plain = (value) => (Buffer.isBuffer(value) ? `bytes ${value.toString('hex')}`
    : value instanceof Date ? `date ${value.toISOString()}` : value);
  const c = new Client({ ...options, options: '-c TimeZone=UTC' });
  await c.connect();
  const read = {};
  for (const [mode, more] of [['text', {}], ['prepared', { queryMode: 'extended' }]]) {
    read[mode] = {};
    for (const side of ['hot', 'cold']) {
      const { rows, fields } = await c.query({ text: `SELECT * FROM twin_${side} ORDER BY id`, rowMode: 'array', ...more });
      const types = fields.map((f) => ({ type: f.dataTypeID, size: f.dataTypeSize, modifier: f.dataTypeModifier, format: f.format }));
      read[mode][side] = { names: fields.map((f) => f.name), types,
        rows: rows.map((row) => row.map((value) => [typeof value, plain(value)])) };
    }
  }
  await c.end();
  console.log(JSON.stringify(read));
}

async function main() {
  const c = new Client(options);
  await c.connect();
  const moment = await turns(c);
  await transactions(c, moment);
  await errors(c);
  await parts(c);
  await c.end();
  await pools();
  await twins();
  console.log('ok');
}

main().catch((error) => { console.error(error); process.exit(1); });
