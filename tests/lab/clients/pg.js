// Node's pg against a running server: node pg.js HOST PORT. Ends with "ok", or throws.
'use strict';
const assert = require('node:assert/strict');
const { Client, Pool, types } = require('pg');

// As text: what the server sent, not what a Date can hold.
for (const oid of [1082, 1114, 1184]) types.setTypeParser(oid, (text) => text);

const CREATE = `CREATE TABLE kinds (id BIGINT NOT NULL PRIMARY KEY, flag BOOLEAN, small SMALLINT, plain INTEGER, price NUMERIC(20,4), single REAL,
  precise DOUBLE PRECISION, name VARCHAR(100), note TEXT, raw BYTEA, day DATE, clock TIME, moment TIMESTAMP, instant TIMESTAMPTZ, doc JSON, ident UUID)
  WITH (engine='OSS')`;
const FULL = {
  id: '1', flag: true, small: -32768, plain: 2147483647, price: '1234567890123456.7891', single: 1.5, precise: -2.5e-300, name: "Łódź 東京 🚆 'q'",
  note: 'line\nline\ttab', raw: Buffer.from([0, 255, 39, 92, 10, 13, 26]), day: '2024-02-29', clock: '23:59:59.999999',
  moment: '2022-07-05 11:11:11.123456', instant: '2022-07-05 11:11:11.654321+00', doc: { a: [1, 2.5, null, 'ü'] },
  ident: '123e4567-e89b-12d3-a456-426614174000',
};
const NULLS = Object.fromEntries(Object.keys(FULL).map((name) => [name, name === 'id' ? '2' : null]));
const NAMES = Object.keys(FULL);
const MARKS = NAMES.map((_, i) => `$${i + 1}`).join(', ');
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function main() {
  const [host, port] = process.argv.slice(2);
  const options = { host, port: Number(port), user: 'root', password: '', database: 'node_pg', options: '-c TimeZone=UTC' };
  const maker = new Client({ ...options, database: '' , options: undefined });
  await maker.connect();
  await maker.query('CREATE DATABASE node_pg');
  await maker.end();

  const client = new Client(options);
  const notices = [];
  client.on('notice', (notice) => notices.push(notice.message));
  await client.connect();
  await client.query(CREATE);
  assert.ok(notices.some((text) => /documentation|not enforced/i.test(text)), `a key is accepted with a notice: ${notices}`);

  const insert = { name: 'insert', text: `INSERT INTO kinds VALUES (${MARKS})` };
  assert.equal((await client.query({ ...insert, values: Object.values(FULL) })).rowCount, 1);
  assert.equal((await client.query({ ...insert, values: Object.values(NULLS) })).rowCount, 1);
  for (const result of [
    await client.query('SELECT * FROM kinds ORDER BY id'),
    await client.query('SELECT * FROM kinds WHERE id < $1 ORDER BY id', [100]),
    await client.query({ name: 'all', text: 'SELECT * FROM kinds WHERE id < $1 ORDER BY id', values: ['100'] }),
  ]) {
    assert.deepEqual(result.fields.map((field) => field.name), NAMES);
    assert.deepEqual({ ...result.rows[0] }, FULL);
    assert.deepEqual({ ...result.rows[1] }, NULLS);
    assert.equal(result.rows.length, 2);
  }
  assert.equal((await client.query('SELECT id FROM kinds WHERE ident = $1 AND day = $2 AND raw = $3', [FULL.ident, FULL.day, FULL.raw])).rowCount, 1);

  // Transactions, counts, the past.
  await client.query('BEGIN');
  assert.equal((await client.query('UPDATE kinds SET small = $1 WHERE id = $2', [7, 1])).rowCount, 1);
  assert.equal((await client.query('SELECT small FROM kinds WHERE id = 1')).rows[0].small, 7);
  await client.query('ROLLBACK');
  assert.equal((await client.query('SELECT small FROM kinds WHERE id = 1')).rows[0].small, -32768);
  await pause(5);
  const moment = (await client.query('SELECT LOCALTIMESTAMP AS m')).rows[0].m;
  await pause(5);
  const deleted = await client.query('DELETE FROM kinds');
  assert.deepEqual([deleted.command, deleted.rowCount], ['DELETE', 2]);
  for (const result of [
    await client.query(`SELECT id FROM kinds AS OF TIMESTAMP '${moment}' ORDER BY id`),
    await client.query('SELECT id FROM kinds AS OF TIMESTAMP $1 ORDER BY id', [moment]),
    await client.query('SELECT k.id FROM kinds AS k AS OF TIMESTAMP $1 WHERE k.id > $2 ORDER BY id', [moment, 0]),
  ]) {
    assert.deepEqual(result.rows.map((row) => row.id), ['1', '2']);
  }
  assert.equal((await client.query('SELECT * FROM kinds')).rowCount, 0);

  // Errors, with what a program acts on; the connection goes on after each.
  for (const [text, code] of [['SELECT * FROM nowhere', '42P01'], ['SELEKT 1', '42601'], ['INSERT INTO kinds (id) VALUES (NULL)', '23502'], ['SELECT 1/0', '22012']]) {
    await assert.rejects(client.query(text), (error) => error.code === code && error.severity === 'ERROR', text);
    await assert.rejects(client.query(text, []), (error) => error.code === code, text);
  }
  await client.end();

  const pool = new Pool({ ...options, max: 3 });
  const answers = await Promise.all([1, 2, 3, 4, 5, 6].map((n) => pool.query('SELECT $1::int AS n', [n])));
  assert.deepEqual(answers.map((answer) => answer.rows[0].n), [1, 2, 3, 4, 5, 6]);
  const several = await pool.query('SELECT 1 AS a; SELECT 2 AS b');
  assert.deepEqual(several.map((answer) => Object.values(answer.rows[0])[0]), [1, 2]);
  await pool.end();
  await assert.rejects(new Client({ ...options, database: 'nowhere' }).connect(), (error) => error.code === '3D000');
  console.log('ok');
}

main().catch((error) => { console.error(error); process.exit(1); });
