import java.sql.*;
import java.util.*;

/** What the JDBC programs that go through Flashgate share: checks, statements of both kinds by turns, and twin tables as JSON. */
class Relayed {
    static final int ROWS = 20;

    static void same(Object got, Object want, String what) {
        if (!Objects.equals(got, want)) throw new AssertionError(what + ": got " + got + ", want " + want);
    }

    interface Work {
        void run() throws SQLException;
    }

    static void fails(Work work, String state, int code, String what) {
        try {
            work.run();
        } catch (SQLException e) {
            same(e.getSQLState(), state, what + " state (" + e.getMessage() + ")");
            if (code != 0) same(e.getErrorCode(), code, what + " code (" + e.getMessage() + ")");
            return;
        }
        throw new AssertionError(what + " did not fail");
    }

    /** All rows, columns by `|`, rows by `;`, of a statement that is not prepared or has values. */
    static String rows(Connection c, int fetch, String sql, Object... values) throws SQLException {
        try (Statement s = values.length == 0 ? c.createStatement() : c.prepareStatement(sql)) {
            s.setFetchSize(fetch);
            for (int i = 0; i < values.length; i++) ((PreparedStatement) s).setObject(i + 1, values[i]);
            try (ResultSet r = values.length == 0 ? s.executeQuery(sql) : ((PreparedStatement) s).executeQuery()) {
                StringBuilder out = new StringBuilder();
                while (r.next()) {
                    if (out.length() > 0) out.append(';');
                    for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) out.append(i > 1 ? "|" : "").append(r.getString(i));
                }
                return out.toString();
            }
        }
    }

    static int change(Connection c, String sql, Object... values) throws SQLException {
        try (PreparedStatement p = c.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) p.setObject(i + 1, values[i]);
            return p.executeUpdate();
        }
    }

    /** Hot and cold by turns, in and out of transactions, with errors of both. The tables have rows (1, ?1) to (3, ?3) when it ends. */
    static void turns(Connection c, String hot, String cold, String now, String inTransaction, int code, boolean aborts) throws Exception {
        for (int id = 1; id <= 3; id++) {
            same(change(c, "INSERT INTO " + hot + " VALUES (?, ?)", id, "h" + id), 1, "hot row");
            same(change(c, "INSERT INTO " + cold + " VALUES (?, ?)", id, "c" + id), 1, "cold row");
            same(rows(c, 0, "SELECT * FROM " + cold + " WHERE id = ?", id), id + "|c" + id, "cold, prepared");
            same(rows(c, 0, "SELECT * FROM " + hot + " WHERE id = ?", id), id + "|h" + id, "hot, prepared");
            same(rows(c, 0, "SELECT * FROM " + cold + " WHERE id = " + id), id + "|c" + id, "cold");
            same(rows(c, 0, "SELECT * FROM " + hot + " WHERE id = " + id), id + "|h" + id, "hot");
        }
        Thread.sleep(5);
        String before = rows(c, 0, "SELECT " + now);
        Thread.sleep(5);
        same(change(c, "UPDATE " + cold + " SET name = ? WHERE id > ?", "new", 1), 2, "changed");
        String past = "SELECT name FROM " + cold + " AS OF TIMESTAMP ";
        for (Object at : new Object[] {before, Timestamp.valueOf(before)}) {
            same(rows(c, 0, past + "? WHERE id > ? ORDER BY id", at, 0), "c1;c2;c3", "the past, by a parameter " + at.getClass());
        }
        c.setAutoCommit(false);
        change(c, "INSERT INTO " + hot + " VALUES (?, ?)", 4, "gone");
        same(rows(c, 0, past + "'" + before + "' ORDER BY id"), "c1;c2;c3", "the past, in a transaction");
        same(rows(c, 0, "SELECT COUNT(*) FROM " + cold + " WHERE name = ?", "new"), "2", "cold, in a transaction");
        same(rows(c, 0, "SELECT COUNT(*) FROM " + hot + " WHERE id > ?", 0), "4", "hot, in a transaction");
        Savepoint here = c.setSavepoint();
        for (String bad : new String[] {"SELECT absent FROM " + cold, "SELECT absent FROM " + hot, "DELETE FROM " + cold}) {
            boolean change = bad.startsWith("DELETE");
            String state = change ? inTransaction : aborts ? "42703" : "42S22";
            fails(() -> change(c, bad), state, change ? code : aborts ? 0 : 1054, bad);
            if (aborts) c.rollback(here);
            same(rows(c, 0, "SELECT COUNT(*) FROM " + cold), "3", "cold, after an error");
            same(rows(c, 0, "SELECT COUNT(*) FROM " + hot), "4", "hot, after an error");
        }
        c.rollback();
        c.setAutoCommit(true);
        same(rows(c, 0, "SELECT COUNT(*) FROM " + hot), "3", "hot, rolled back");

        // Settings that drivers make by statements of their own.
        for (int level : new int[] {Connection.TRANSACTION_READ_COMMITTED, Connection.TRANSACTION_SERIALIZABLE,
            Connection.TRANSACTION_REPEATABLE_READ}) {
            c.setTransactionIsolation(level);
            same(rows(c, 0, "SELECT COUNT(*) FROM " + cold + " WHERE id > ?", 0), "3", "cold at level " + level);
            same(c.getTransactionIsolation(), level, "level");
        }
        // Connector/J's setReadOnly tells the database nothing.
        if (aborts) c.setReadOnly(true);
        c.setAutoCommit(false);
        if (!aborts) change(c, "START TRANSACTION READ ONLY");
        same(rows(c, 0, "SELECT COUNT(*) FROM " + cold), "3", "cold, read-only");
        same(rows(c, 0, "SELECT COUNT(*) FROM " + hot), "3", "hot, read-only");
        fails(() -> change(c, "DELETE FROM " + hot), "25006", 0, "a change in a read-only transaction");
        c.rollback();
        c.setAutoCommit(true);
        c.setReadOnly(false);
        same(c.isValid(5), true, "isValid");
    }

    /** A batch into each, counted by the driver's own ways of sending it. */
    static void batches(Connection c, String hot, String cold) throws SQLException {
        for (String name : new String[] {hot, cold, hot}) {
            change(c, "DELETE FROM " + name);
            try (PreparedStatement p = c.prepareStatement("INSERT INTO " + name + " VALUES (?, ?)")) {
                for (int i = 0; i < ROWS; i++) {
                    p.setInt(1, i);
                    p.setString(2, i % 10 == 3 ? null : "row " + i);
                    p.addBatch();
                }
                same(p.executeBatch().length, ROWS, "batch into " + name);
            }
            same(rows(c, 0, "SELECT COUNT(*), COUNT(name), SUM(id) FROM " + name),
                ROWS + "|" + (ROWS - ROWS / 10) + "|" + ROWS * (ROWS - 1) / 2, "sum of " + name);
        }
    }

    /** Results in parts, one of each open at a time where the protocol has cursors. */
    static void parts(Connection c, String hot, String cold) throws SQLException {
        for (String name : new String[] {cold, hot, cold}) {
            String[] got = rows(c, 7, "SELECT id FROM " + name + " WHERE id >= ? ORDER BY id", 0).split(";");
            same(got.length + " " + got[got.length - 1], ROWS - 1 + " " + (ROWS - 1), "in parts from " + name);
            same(rows(c, 7, "SELECT id FROM " + name).split(";").length, ROWS - 1, "in parts, not prepared, from " + name);
        }
    }

    /** What the driver makes of twin_hot and twin_cold: a line of JSON for `mode`. */
    static String twins(Connection c, boolean prepared) throws SQLException {
        List<String> sides = new ArrayList<>();
        for (String side : new String[] {"hot", "cold"}) {
            String sql = "SELECT * FROM twin_" + side + " ORDER BY id";
            try (Statement s = prepared ? c.prepareStatement(sql) : c.createStatement();
                ResultSet r = prepared ? ((PreparedStatement) s).executeQuery() : s.executeQuery(sql)) {
                ResultSetMetaData m = r.getMetaData();
                List<String> names = new ArrayList<>(), types = new ArrayList<>(), rows = new ArrayList<>();
                for (int i = 1; i <= m.getColumnCount(); i++) {
                    names.add(json(m.getColumnLabel(i)));
                    types.add("{\"type\": " + m.getColumnType(i) + ", \"name\": " + json(m.getColumnTypeName(i)) +
                        ", \"class\": " + json(m.getColumnClassName(i))
                        + ", \"precision\": " + m.getPrecision(i) + ", \"scale\": " + m.getScale(i) +
                        ", \"width\": " + m.getColumnDisplaySize(i)
                        + ", \"signed\": " + m.isSigned(i) + ", \"nullable\": " + m.isNullable(i) + ", \"auto\": " + m.isAutoIncrement(i)
                        + ", \"cases\": " + m.isCaseSensitive(i) + ", \"writable\": " + m.isWritable(i) + "}");
                }
                while (r.next()) {
                    List<String> row = new ArrayList<>();
                    for (int i = 1; i <= m.getColumnCount(); i++) {
                        Object value = r.getObject(i);
                        String kind = value == null ? "null" : value.getClass().getName();
                        String shown = value instanceof byte[] ? HexFormat.of().formatHex((byte[]) value) : String.valueOf(value);
                        String text = value instanceof byte[] ? "" : r.getString(i);
                        row.add("[" + json(kind) + ", " + json(shown) + ", " + json(text) + "]");
                    }
                    rows.add(row.toString());
                }
                sides.add(json(side) + ": {\"names\": " + names + ", \"types\": " + types + ", \"rows\": " + rows + "}");
            }
        }
        return "{" + String.join(", ", sides) + "}";
    }

    static String json(String text) {
        if (text == null) return "null";
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c < ' ' || c > '~' || c == '"' || c == '\\') out.append(String.format("\\u%04x", (int) c));
            else out.append(c);
        }
        return out.append('"').toString();
    }
}
