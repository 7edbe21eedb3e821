import java.math.BigDecimal;
import java.sql.*;
import java.time.*;
import java.util.*;

/** MariaDB Connector/J against a running server: java MariaDb HOST PORT. Ends with "ok", or throws. */
public class MariaDb {
    static void same(Object got, Object want, String what) {
        boolean equal = got instanceof byte[] && want instanceof byte[] ? Arrays.equals((byte[]) got, (byte[]) want) : Objects.equals(got, want);
        if (!equal) throw new AssertionError(what + ": got " + got + ", want " + want);
    }

    static void fails(Statement statement, String sql, int code, String state) throws SQLException {
        try {
            statement.execute(sql);
        } catch (SQLException e) {
            same(e.getErrorCode(), code, sql + " code (" + e.getMessage() + ")");
            same(e.getSQLState(), state, sql + " state");
            return;
        }
        throw new AssertionError(sql + " did not fail");
    }

    public static void main(String[] args) throws Exception {
        String url = "jdbc:mariadb://" + args[0] + ":" + args[1] + "/";
        try (Connection c = DriverManager.getConnection(url, "root", ""); Statement s = c.createStatement()) {
            s.execute("CREATE DATABASE java_maria");
        }
        // Text protocol first, then the same with statements prepared on the server.
        for (String options : new String[] {"?useServerPrepStmts=false", "?useServerPrepStmts=true"}) {
            boolean server = options.endsWith("true");
            try (Connection c = DriverManager.getConnection(url + "java_maria" + options, "root", "")) {
                work(c, server ? "kinds_server" : "kinds_client");
            }
        }
        try {
            DriverManager.getConnection(url + "java_maria", "root", "wrong").close();
            throw new AssertionError("a wrong password was taken");
        } catch (SQLException e) {
            same(e.getErrorCode(), 1045, "wrong password");
        }
        System.out.println("ok");
    }

    static void work(Connection c, String table) throws Exception {
        LocalDateTime moment = LocalDateTime.of(2022, 7, 5, 11, 11, 11, 123456000);
        byte[] bytes = {0, -1, 39, 92, 10, 13, 26};
        try (Statement s = c.createStatement()) {
            s.execute("CREATE TABLE " + table + " (id BIGINT NOT NULL, flag BOOLEAN, small SMALLINT, ubig BIGINT UNSIGNED, price DECIMAL(20,4), single FLOAT,"
                + " `precise` DOUBLE, name VARCHAR(100), raw VARBINARY(64), day DATE, clock TIME(6), moment DATETIME(6), yr YEAR, PRIMARY KEY (id)) ENGINE='OSS'");
        }
        String marks = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        try (PreparedStatement p = c.prepareStatement("INSERT INTO " + table + " VALUES " + marks)) {
            p.setLong(1, 1);
            p.setBoolean(2, true);
            p.setShort(3, (short) -32768);
            p.setBigDecimal(4, new BigDecimal("18446744073709551615"));
            p.setBigDecimal(5, new BigDecimal("1234567890123456.7891"));
            p.setFloat(6, 1.5f);
            p.setDouble(7, -2.5e-300);
            p.setString(8, "Łódź 東京 🚆 'q' \\");
            p.setBytes(9, bytes);
            p.setObject(10, LocalDate.of(2024, 2, 29));
            p.setObject(11, LocalTime.of(23, 59, 59, 999999000));
            p.setTimestamp(12, Timestamp.valueOf(moment));
            p.setInt(13, 2024);
            same(p.executeUpdate(), 1, "rows inserted");
            p.setLong(1, 2);
            for (int i = 2; i <= 13; i++) p.setNull(i, Types.NULL);
            same(p.executeUpdate(), 1, "rows inserted");
        }
        try (PreparedStatement p = c.prepareStatement("SELECT * FROM " + table + " WHERE id < ? ORDER BY id")) {
            p.setInt(1, 100);
            try (ResultSet r = p.executeQuery()) {
                ResultSetMetaData m = r.getMetaData();
                same(m.getColumnCount(), 13, "columns");
                same(m.getColumnName(5) + " " + m.getPrecision(5) + " " + m.getScale(5), "price 20 4", "metadata of price");
                same(m.getTableName(5), table, "table of price");
                same(m.isNullable(1), ResultSetMetaData.columnNoNulls, "id is NOT NULL");
                same(m.isSigned(4), false, "ubig is unsigned");
                same(r.next(), true, "first row");
                same(r.getLong("id"), 1L, "id");
                same(r.getBoolean("flag"), true, "flag");
                same(r.getShort("small"), (short) -32768, "small");
                same(r.getBigDecimal("ubig"), new BigDecimal("18446744073709551615"), "ubig");
                same(r.getBigDecimal("price"), new BigDecimal("1234567890123456.7891"), "price");
                same(r.getFloat("single"), 1.5f, "single");
                same(r.getDouble("precise"), -2.5e-300, "precise");
                same(r.getString("name"), "Łódź 東京 🚆 'q' \\", "name");
                same(r.getBytes("raw"), bytes, "raw");
                same(r.getObject("day", LocalDate.class), LocalDate.of(2024, 2, 29), "day");
                same(r.getObject("clock", LocalTime.class), LocalTime.of(23, 59, 59, 999999000), "clock");
                same(r.getTimestamp("moment").toLocalDateTime(), moment, "moment");
                same(r.getInt("yr"), 2024, "yr");
                same(r.next(), true, "second row");
                for (int i = 2; i <= 13; i++) same(r.getString(i), null, "NULL in column " + i);
                same(r.next(), false, "end");
            }
        }

        // Batches, transactions, counts.
        c.setAutoCommit(false);
        try (PreparedStatement p = c.prepareStatement("INSERT INTO " + table + " (id, name) VALUES (?, ?)")) {
            for (int i = 10; i < 60; i++) {
                p.setInt(1, i);
                p.setString(2, "batch " + i);
                p.addBatch();
            }
            same(p.executeBatch().length, 50, "batch");
        }
        c.rollback();
        try (Statement s = c.createStatement()) {
            same(count(s, table), 2, "rows after rollback");
            for (int i = 10; i < 15; i++) s.addBatch("INSERT INTO " + table + " (id) VALUES (" + i + ")");
            s.executeBatch();
            Savepoint here = c.setSavepoint("here");
            same(s.executeUpdate("DELETE FROM " + table + " WHERE id >= 10"), 5, "rows deleted");
            c.rollback(here);
            same(s.executeUpdate("UPDATE " + table + " SET name = 'x' WHERE id >= 10"), 5, "rows updated");
            c.commit();
            c.setAutoCommit(true);
            same(count(s, table), 7, "rows after commit");

            // The past, as a literal and as a parameter.
            Thread.sleep(5);
            String before = text(s, "SELECT CAST(NOW(6) AS CHAR)");
            Thread.sleep(5);
            s.execute("DELETE FROM " + table);
            same(text(s, "SELECT COUNT(*) FROM " + table + " AS OF TIMESTAMP '" + before + "'"), "7", "the past, by a literal");
            try (PreparedStatement p = c.prepareStatement("SELECT COUNT(*) FROM " + table + " AS OF TIMESTAMP ? WHERE id > ?")) {
                for (Object at : new Object[] {before, Timestamp.valueOf(before)}) {
                    p.setObject(1, at);
                    p.setInt(2, 0);
                    try (ResultSet r = p.executeQuery()) {
                        r.next();
                        same(r.getInt(1), 7, "the past, by a parameter " + at.getClass());
                    }
                }
            }
            same(count(s, table), 0, "rows now");
            fails(s, "SELECT * FROM nowhere", 1146, "42S02");
            fails(s, "SELEKT 1", 1064, "42000");
            fails(s, "INSERT INTO " + table + " (id) VALUES (NULL)", 1048, "23000");
        }

        // What tools ask.
        DatabaseMetaData meta = c.getMetaData();
        List<String> names = new ArrayList<>();
        try (ResultSet r = meta.getTables("java_maria", null, "kinds%", new String[] {"TABLE"})) {
            while (r.next()) names.add(r.getString("TABLE_NAME"));
        }
        same(names.contains(table), true, "getTables " + names);
        List<String> columns = new ArrayList<>();
        try (ResultSet r = meta.getColumns("java_maria", null, table, "%")) {
            while (r.next()) columns.add(r.getString("COLUMN_NAME") + " " + r.getInt("DATA_TYPE") + " " + r.getInt("NULLABLE"));
        }
        same(columns.size(), 13, "getColumns " + columns);
        same(columns.get(0), "id " + Types.BIGINT + " 0", "id");
        same(columns.get(4), "price " + Types.DECIMAL + " 1", "price");
        try (ResultSet r = meta.getPrimaryKeys("java_maria", null, table)) {
            same(r.next() ? r.getString("COLUMN_NAME") : null, "id", "primary key");
        }
        try (ResultSet r = meta.getCatalogs()) {
            List<String> catalogs = new ArrayList<>();
            while (r.next()) catalogs.add(r.getString(1));
            same(catalogs.contains("java_maria"), true, "getCatalogs " + catalogs);
        }
        try (ResultSet r = meta.getIndexInfo("java_maria", null, table, false, true)) {
            List<String> keys = new ArrayList<>();
            while (r.next()) {
                keys.add(r.getString("INDEX_NAME") + " " + r.getString("COLUMN_NAME") + " " + r.getInt("ORDINAL_POSITION") + " " + r.getBoolean("NON_UNIQUE"));
            }
            same(keys, List.of("PRIMARY id 1 false"), "getIndexInfo");
        }
        same(c.isValid(5), true, "isValid");
        same(c.getTransactionIsolation(), Connection.TRANSACTION_REPEATABLE_READ, "isolation");
        same(c.getCatalog(), "java_maria", "getCatalog");
    }

    static int count(Statement s, String table) throws SQLException {
        return Integer.parseInt(text(s, "SELECT COUNT(*) FROM " + table));
    }

    static String text(Statement s, String sql) throws SQLException {
        try (ResultSet r = s.executeQuery(sql)) {
            r.next();
            return r.getString(1);
        }
    }
}
