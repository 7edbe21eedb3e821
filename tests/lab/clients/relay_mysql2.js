// Node's mysql2 through Flashgate in front of a MariaDB or MySQL: node relay_mysql2.js HOST PORT MARK plain|tls [change].
// MARK begins the names of its tables; `change`: only a change of user with statements prepared before.
// Prints what it reads of twin_hot and twin_cold as JSON, then "ok"; or throws.
'use strict';
const assert = require('node:assert/strict');
const { once } = require('node:events');
const mysql = require('mysql2/promise');

const [host, port, mark, leg] = process.argv.slice(2);
const hot = `${mark}_h`;
const cold = `${mark}_c`;
const options = { host, port: Number(port), user: 'root', database: 'hot', ssl: leg === 'tls' ? { rejectUnauthorized: false } : undefined };
const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

async function refused(promise, errno, what) {
  await assert.rejects(promise, (error) => { assert.equal(error.errno, errno, `${what}: ${error.message}`); return true; }, what);
}

// Text and binary protocol, by turns.
async function both(c, text, values, want) {
  for (const way of ['query', 'execute']) {
    const [rows] = await c[way](text, values);
    assert.deepEqual(rows.map((row) => Object.values(row)), want, `${way} ${text}`);
  }
}

async function turns(c) {
  if (leg === 'tls') assert.notEqual((await c.query("SHOW STATUS LIKE 'Ssl_cipher'"))[0][0].Value, '');
  await c.query(`CREATE TABLE ${hot} (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50))`);
  await c.query(`CREATE TABLE ${cold} (id INT NOT NULL, name VARCHAR(50), PRIMARY KEY (id)) ENGINE='OSS'`);
  for (let id = 1; id <= 3; id++) {
    const [one] = await c.execute(`INSERT INTO ${hot} (name) VALUES (?)`, [`h${id}`]);
    const [other] = await c.execute(`INSERT INTO ${cold} VALUES (?, ?)`, [id, `c${id}`]);
    assert.deepEqual([one.insertId, one.affectedRows, other.affectedRows], [id, 1, 1]);
    // What a statement of ours does not change.
    await both(c, 'SELECT LAST_INSERT_ID()', [], [[id]]);
    await both(c, `SELECT id, name FROM ${cold} WHERE id = ?`, [id], [[id, `c${id}`]]);
    await both(c, `SELECT id, name FROM ${hot} WHERE id = ?`, [id], [[id, `h${id}`]]);
  }
  await pause();
  const [[{ moment }]] = await c.query('SELECT CAST(NOW(6) AS CHAR) AS moment');
  await pause();
  assert.equal((await c.query(`UPDATE ${cold} SET name = 'new' WHERE id > ?`, [1]))[0].affectedRows, 2);
  await both(c, `SELECT name FROM ${cold} AS OF TIMESTAMP ? ORDER BY id`, [moment], [['c1'], ['c2'], ['c3']]);
  await both(c, `SELECT name FROM ${cold} ORDER BY id`, [], [['c1'], ['new'], ['new']]);
  await both(c, `SELECT name FROM ${hot} ORDER BY id`, [], [['h1'], ['h2'], ['h3']]);
  return moment;
}

async function transactions(c, moment) {
  await c.beginTransaction();
  await c.execute(`INSERT INTO ${hot} (name) VALUES (?)`, ['gone']);
  await both(c, `SELECT COUNT(*) FROM ${cold}`, [], [[3]]);
  await both(c, `SELECT COUNT(*) FROM ${cold} AS OF TIMESTAMP ? WHERE name = ?`, [moment, 'c2'], [[1]]);
  // An error of either kind, and a change that cannot be part of the transaction, leave it open.
  await refused(c.query(`SELECT absent FROM ${cold}`), 1054, 'text of ours');
  await refused(c.execute(`SELECT absent FROM ${hot}`), 1054, 'prepared, not ours');
  await refused(c.query(`DELETE FROM ${cold}`), 1290, 'a change of a cold table');
  await refused(c.execute(`DELETE FROM ${cold} WHERE id = ?`, [1]), 1290, 'a prepared change of a cold table');
  await both(c, `SELECT COUNT(*) FROM ${hot}`, [], [[4]]);
  await c.rollback();
  await both(c, `SELECT COUNT(*) FROM ${hot}`, [], [[3]]);
  await both(c, `SELECT COUNT(*) FROM ${cold}`, [], [[3]]);
}

async function errors(c) {
  for (const way of ['query', 'execute']) {
    for (const [text, errno] of [
      ['SELECT * FROM absent', 1146], [`SELECT absent FROM ${cold}`, 1054], [`SELECT absent FROM ${hot}`, 1054],
      [`SELECT id FROM ${cold} WHERE`, 1064],
      [`SELECT id FROM ${cold} AS OF TIMESTAMP '2199-01-01 00:00:00'`, 1210], [`INSERT INTO ${cold} VALUES (NULL, 'x')`, 1048],
      [`INSERT INTO ${hot} VALUES (1, 'x')`, 1062],
    ]) {
      await refused(c[way](text), errno, `${way} ${text}`);
      await both(c, `SELECT COUNT(*) FROM ${cold}`, [], [[3]]);
      await both(c, `SELECT COUNT(*) FROM ${hot}`, [], [[3]]);
    }
  }
}

async function streams(c) {
  const rows = 1000;
  const list = Array.from({ length: rows }, (_, i) => [i, `row ${i}`]);
  for (const [name, engine] of [[`${mark}_hs`, ''], [`${mark}_cs`, "ENGINE='OSS'"]]) {
    await c.query(`CREATE TABLE ${name} (id INT, name VARCHAR(50)) ${engine}`);
    assert.equal((await c.query(`INSERT INTO ${name} VALUES ?`, [list]))[0].affectedRows, rows);
  }
  // Both at once, row by row: the second is sent while the first still flows.
  const sums = [`${mark}_cs`, `${mark}_hs`, `${mark}_cs`].map(async (name, i) => {
    const command = i === 1 ? c.connection.query(`SELECT * FROM ${name}`)
      : c.connection.execute(`SELECT * FROM ${name} WHERE id >= ?`, [0]);
    const stream = command.stream({ highWaterMark: 7 });
    let sum = 0;
    stream.on('data', (row) => { sum += row.id; });
    await once(stream, 'end');
    return sum;
  });
  assert.deepEqual(await Promise.all(sums), [499500, 499500, 499500]);
}

async function pools() {
  const pool = mysql.createPool({ ...options, connectionLimit: 3, multipleStatements: true });
  const texts = [`SELECT COUNT(*) AS n FROM ${cold}`, `SELECT COUNT(*) AS n FROM ${hot}`];
  const answers = await Promise.all(Array.from({ length: 24 }, (_, i) => pool[i % 3 ? 'query' : 'execute'](texts[i % 2])));
  assert.ok(answers.every(([[row]]) => row.n === 3));
  const [several] = await pool.query(`SELECT id FROM ${hot} WHERE id = 1; SELECT name FROM ${cold} WHERE id = 1; ` +
      `SET @x = 7; SELECT @x + id AS n FROM ${cold} WHERE id = 2`);
  assert.deepEqual([several[0][0].id, several[1][0].name, several[3][0].n], [1, 'c1', 9]);
  // Who comes back to the pool in another database than it left in still finds its tables.
  const c = await pool.getConnection();
  await c.query('USE other');
  await both(c, `SELECT COUNT(*) FROM hot.${cold}`, [], [[3]]);
  await refused(c.query(`SELECT * FROM ${cold}`), 1146, 'a name of another database');
  await c.query('USE hot');
  await both(c, `SELECT COUNT(*) FROM ${cold}`, [], [[3]]);
  c.release();
  await pool.end();
}

// The driver closes what it has prepared behind a change of user, which has closed it already.
async function changes(c) {
  const texts = ['SELECT COUNT(*) FROM hot.twin_hot', 'SELECT COUNT(*) FROM hot.twin_cold'];
  for (const database of ['other', 'hot', 'other']) {
    for (const text of texts) await both(c, text, [], [[3]]);
    await c.changeUser({ database });
    assert.equal((await c.query('SELECT DATABASE() AS d'))[0][0].d, database);
  }
  for (const text of texts) await both(c, text, [], [[3]]);
}

async function twins() {
  const plain = (value) => (Buffer.isBuffer(value) ? `bytes ${value.toString('hex')}` : value instanceof Date ? `date ${value.toISOString()}`
    : typeof value === 'bigint' ? `${value}n` : value);
  const read = {};
  for (const [mode, way, more] of [['text', 'query', {}], ['prepared', 'execute', {}],
    ['strings', 'query', { dateStrings: true, supportBigNumbers: true, bigNumberStrings: true }]]) {
    const c = await mysql.createConnection({ ...options, ...more, rowsAsArray: true, timezone: 'Z', charset: 'utf8mb4' });
    read[mode] = {};
    for (const side of ['hot', 'cold']) {
      const [rows, fields] = await c[way](`SELECT * FROM twin_${side} ORDER BY id`);
      const types = fields.map((f) => ({ type: f.columnType, length: f.columnLength, scale: f.decimals, flags: f.flags,
        charset: f.characterSet, encoding: f.encoding }));
      read[mode][side] = { names: fields.map((f) => f.name), types,
        rows: rows.map((row) => row.map((value) => [typeof value, plain(value)])) };
    }
    await c.end();
  }
  console.log(JSON.stringify(read));
}

async function main() {
  const c = await mysql.createConnection(options);
  if (process.argv[6] === 'change') {
    await changes(c);
    await c.end();
    console.log('ok');
    return;
  }
  const moment = await turns(c);
  await transactions(c, moment);
  await errors(c);
  await streams(c);
  await c.ping();
  await c.end();
  await pools();
  await twins();
  console.log('ok');
}

main().catch((error) => { console.error(error); process.exit(1); });
