import java.io.*;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.time.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** pgjdbc against a running server: java PgJdbc HOST PORT. Ends with "ok", or throws. */
public class PgJdbc {
    static void same(Object got, Object want, String what) {
        boolean equal = got instanceof byte[] && want instanceof byte[] ? Arrays.equals((byte[]) got, (byte[]) want) : Objects.equals(got, want);
        if (!equal) throw new AssertionError(what + ": got " + got + ", want " + want);
    }

    static void fails(Connection c, String sql, String state) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
        } catch (SQLException e) {
            same(e.getSQLState(), state, sql + " state (" + e.getMessage() + ")");
            return;
        }
        throw new AssertionError(sql + " did not fail");
    }

    public static void main(String[] args) throws Exception {
        String url = "jdbc:postgresql://" + args[0] + ":" + args[1] + "/";
        try (Connection c = DriverManager.getConnection(url + "?sslmode=disable", "root", ""); Statement s = c.createStatement()) {
            s.execute("CREATE DATABASE java_pg");
        }
        // Statements prepared at once and sent in binary, never prepared on the server, and one by one as simple queries.
        int run = 0;
        for (String options : new String[] {"prepareThreshold=-1", "prepareThreshold=0", "preferQueryMode=simple", "prepareThreshold=1"}) {
            try (Connection c = DriverManager.getConnection(url + "java_pg?sslmode=disable&" + options, "root", "")) {
                work(c, "kinds" + run++, options);
            } catch (AssertionError | SQLException e) {
                throw new AssertionError("with " + options, e);
            }
        }
        System.out.println("ok");
    }

    static void work(Connection c, String table, String options) throws Exception {
        LocalDateTime moment = LocalDateTime.of(2022, 7, 5, 11, 11, 11, 123456000);
        OffsetDateTime instant = OffsetDateTime.of(2022, 7, 5, 11, 11, 11, 654321000, ZoneOffset.UTC);
        UUID ident = UUID.fromString("123e4567-e89b-12d3-a456-426614174000");
        byte[] bytes = {0, -1, 39, 92, 10, 13, 26};
        boolean simple = options.contains("simple");
        try (Statement s = c.createStatement()) {
            s.execute("CREATE TABLE " + table + " (id BIGINT NOT NULL PRIMARY KEY, flag BOOLEAN, small SMALLINT, plain INTEGER, price NUMERIC(20,4), single REAL,"
                + " dbl DOUBLE PRECISION, name VARCHAR(100), raw BYTEA, day DATE, clock TIME, moment TIMESTAMP, instant TIMESTAMPTZ, ident UUID) WITH (engine='OSS')");
        }
        try (PreparedStatement p = c.prepareStatement("INSERT INTO " + table + " VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
            + (simple ? "?::bytea" : "?") + ", ?, ?, ?, ?, ?)")) {
            p.setLong(1, 1);
            p.setBoolean(2, true);
            p.setShort(3, (short) -32768);
            p.setInt(4, Integer.MAX_VALUE);
            p.setBigDecimal(5, new BigDecimal("1234567890123456.7891"));
            p.setFloat(6, 1.5f);
            p.setDouble(7, -2.5e-300);
            p.setString(8, "Łódź 東京 🚆 'q' \\");
            // The driver has no form of bytes in simple queries.
            if (simple) p.setString(9, "\\x00ff275c0a0d1a");
            else p.setBytes(9, bytes);
            p.setObject(10, LocalDate.of(2024, 2, 29));
            p.setObject(11, LocalTime.of(23, 59, 59, 999999000));
            p.setTimestamp(12, Timestamp.valueOf(moment));
            p.setObject(13, instant);
            p.setObject(14, ident);
            same(p.executeUpdate(), 1, "rows inserted");
            p.setLong(1, 2);
            int[] types = {Types.BOOLEAN, Types.SMALLINT, Types.INTEGER, Types.NUMERIC, Types.REAL, Types.DOUBLE, Types.VARCHAR, simple ? Types.VARCHAR : Types.BINARY, Types.DATE,
                Types.TIME, Types.TIMESTAMP, Types.TIMESTAMP_WITH_TIMEZONE, Types.OTHER};
            for (int i = 0; i < types.length; i++) p.setNull(i + 2, types[i]);
            same(p.executeUpdate(), 1, "rows inserted");
        }
        for (int round = 0; round < 3; round++) {
            try (PreparedStatement p = c.prepareStatement("SELECT * FROM " + table + " WHERE id < ? ORDER BY id")) {
                p.setInt(1, 100);
                try (ResultSet r = p.executeQuery()) {
                    ResultSetMetaData m = r.getMetaData();
                    same(m.getColumnName(5) + " " + m.getColumnTypeName(5) + " " + m.getPrecision(5) + " " + m.getScale(5), "price numeric 20 4", "metadata of price");
                    same(r.next(), true, "first row");
                    same(r.getLong("id"), 1L, "id");
                    same(r.getBoolean("flag"), true, "flag");
                    same(r.getShort("small"), (short) -32768, "small");
                    same(r.getInt("plain"), Integer.MAX_VALUE, "plain");
                    same(r.getBigDecimal("price"), new BigDecimal("1234567890123456.7891"), "price");
                    same(r.getFloat("single"), 1.5f, "single");
                    same(r.getDouble("dbl"), -2.5e-300, "dbl");
                    same(r.getString("name"), "Łódź 東京 🚆 'q' \\", "name");
                    same(r.getBytes("raw"), bytes, "raw");
                    same(r.getObject("day", LocalDate.class), LocalDate.of(2024, 2, 29), "day");
                    same(r.getObject("clock", LocalTime.class), LocalTime.of(23, 59, 59, 999999000), "clock");
                    same(r.getObject("moment", LocalDateTime.class), moment, "moment");
                    same(r.getObject("instant", OffsetDateTime.class).toInstant(), instant.toInstant(), "instant");
                    same(r.getObject("ident"), ident, "ident");
                    same(r.next(), true, "second row");
                    for (int i = 2; i <= 14; i++) same(r.getString(i), null, "NULL in column " + i);
                    same(r.next(), false, "end");
                }
            }
        }

        // Batches, transactions, counts, results in parts.
        c.setAutoCommit(false);
        try (PreparedStatement p = c.prepareStatement("INSERT INTO " + table + " (id, name) VALUES (?, ?)")) {
            for (int i = 10; i < 60; i++) {
                p.setInt(1, i);
                p.setString(2, "batch " + i);
                p.addBatch();
            }
            same(Arrays.stream(p.executeBatch()).sum(), 50, "batch");
        }
        try (PreparedStatement p = c.prepareStatement("SELECT id FROM " + table + " ORDER BY id")) {
            p.setFetchSize(7);
            try (ResultSet r = p.executeQuery()) {
                int rows = 0;
                while (r.next()) rows++;
                same(rows, 52, "rows in parts");
            }
        }
        c.rollback();
        try (Statement s = c.createStatement()) {
            same(text(s, "SELECT count(*) FROM " + table), "2", "rows after rollback");
            for (int i = 10; i < 15; i++) s.addBatch("INSERT INTO " + table + " (id) VALUES (" + i + ")");
            s.executeBatch();
            Savepoint here = c.setSavepoint("here");
            same(s.executeUpdate("DELETE FROM " + table + " WHERE id >= 10"), 5, "rows deleted");
            c.rollback(here);
            same(s.executeUpdate("UPDATE " + table + " SET name = 'x' WHERE id >= 10"), 5, "rows updated");
            c.commit();
            c.setAutoCommit(true);
            same(text(s, "SELECT count(*) FROM " + table), "7", "rows after commit");

            // The past, as a literal and as a parameter.
            Thread.sleep(5);
            String before = text(s, "SELECT CAST(LOCALTIMESTAMP AS TEXT)");
            Thread.sleep(5);
            s.execute("DELETE FROM " + table);
            same(text(s, "SELECT count(*) FROM " + table + " AS OF TIMESTAMP '" + before + "'"), "7", "the past, by a literal");
            try (PreparedStatement p = c.prepareStatement("SELECT count(*) FROM " + table + " AS OF TIMESTAMP ? WHERE id > ?")) {
                for (Object at : new Object[] {before, Timestamp.valueOf(before), LocalDateTime.parse(before.replace(' ', 'T'))}) {
                    p.setObject(1, at);
                    p.setInt(2, 0);
                    try (ResultSet r = p.executeQuery()) {
                        r.next();
                        same(r.getInt(1), 7, "the past, by a parameter " + at.getClass());
                    }
                }
            }
            same(text(s, "SELECT count(*) FROM " + table), "0", "rows now");
        }
        fails(c, "SELECT * FROM nowhere", "42P01");
        fails(c, "SELEKT 1", "42601");
        fails(c, "INSERT INTO " + table + " (id) VALUES (NULL)", "23502");

        if (!simple) {
            CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
            String data = "1\tone\n2\t\\N\n";
            same(copy.copyIn("COPY " + table + " (id, name) FROM STDIN", new StringReader(data)), 2L, "rows copied in");
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            same(copy.copyOut("COPY (SELECT id, name FROM " + table + " ORDER BY id) TO STDOUT", out), 2L, "rows copied out");
            same(out.toString(StandardCharsets.UTF_8), data, "what was copied out");
        }

        // What tools ask.
        DatabaseMetaData meta = c.getMetaData();
        List<String> names = new ArrayList<>();
        try (ResultSet r = meta.getTables(null, "public", "kinds%", new String[] {"TABLE"})) {
            while (r.next()) names.add(r.getString("TABLE_NAME"));
        }
        same(names.contains(table), true, "getTables " + names);
        List<String> columns = new ArrayList<>();
        try (ResultSet r = meta.getColumns(null, "public", table, "%")) {
            while (r.next()) columns.add(r.getString("COLUMN_NAME") + " " + r.getInt("DATA_TYPE") + " " + r.getInt("NULLABLE"));
        }
        same(columns.size(), 14, "getColumns " + columns);
        same(columns.get(0), "id " + Types.BIGINT + " 0", "id");
        same(columns.get(4), "price " + Types.NUMERIC + " 1", "price");
        try (ResultSet r = meta.getPrimaryKeys(null, "public", table)) {
            same(r.next() ? r.getString("COLUMN_NAME") : null, "id", "primary key");
        }
        try (ResultSet r = meta.getIndexInfo(null, "public", table, false, true)) {
            List<String> keys = new ArrayList<>();
            while (r.next()) {
                keys.add(r.getString("INDEX_NAME") + " " + r.getString("COLUMN_NAME") + " " + r.getInt("ORDINAL_POSITION") + " " + r.getBoolean("NON_UNIQUE"));
            }
            same(keys, List.of(table + "_pkey id 1 false"), "getIndexInfo");
        }
        try (ResultSet r = meta.getSchemas()) {
            List<String> schemas = new ArrayList<>();
            while (r.next()) schemas.add(r.getString(1));
            same(schemas.contains("public"), true, "getSchemas " + schemas);
        }
        meta.getImportedKeys(null, "public", table).close();
        meta.getTypeInfo().close();
        same(c.isValid(5), true, "isValid");
        same(c.getCatalog(), "java_pg", "getCatalog");
        same(c.getSchema(), "public", "getSchema");
    }

    static String text(Statement s, String sql) throws SQLException {
        try (ResultSet r = s.executeQuery(sql)) {
            r.next();
            return r.getString(1);
        }
    }
}
