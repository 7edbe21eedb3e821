import java.io.*;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/**
 * pgjdbc through Flashgate in front of a PostgreSQL: java RelayedPgJdbc HOST PORT MARK. MARK begins the names of its tables.
 * Prints what it reads of twin_hot and twin_cold as JSON, then "ok"; or throws.
 */
public class RelayedPgJdbc extends Relayed {
    public static void main(String[] args) throws Exception {
        String url = "jdbc:postgresql://" + args[0] + ":" + args[1] + "/hot?";
        String[] options = {
            "sslmode=disable&prepareThreshold=-1", "sslmode=disable&prepareThreshold=0", "sslmode=disable&preferQueryMode=simple",
            "sslmode=require&prepareThreshold=1&reWriteBatchedInserts=true",
            "sslmode=disable&preferQueryMode=extendedCacheEverything&defaultRowFetchSize=10",
            "sslmode=require&autosave=always&prepareThreshold=2",
        };
        int number = 0;
        for (String option : options) {
            String hot = args[2] + "_h" + number, cold = args[2] + "_c" + number++;
            try (Connection c = DriverManager.getConnection(url + option, "root", "")) {
                try (Statement s = c.createStatement()) {
                    s.execute("CREATE TABLE " + hot + " (id INT, name VARCHAR(50))");
                    s.execute("CREATE TABLE " + cold + " (id INT, name VARCHAR(50)) WITH (engine='OSS')");
                }
                turns(c, hot, cold, "CAST(LOCALTIMESTAMP AS TEXT)", "55000", 0, true);
                batches(c, hot, cold);
                if (!option.contains("simple")) together(c, hot, cold);
                else change(c, "DELETE FROM " + cold + " WHERE id = 1; DELETE FROM " + hot + " WHERE id = 1");
                c.setAutoCommit(false);
                parts(c, hot, cold);
                c.commit();
                if (option.contains("autosave")) saved(c, hot, cold);
                c.setAutoCommit(true);
                if (!option.contains("simple")) copies(c, hot, cold);
                keys(c, args[2] + "_k" + number, cold);
                fails(() -> cancelled(c), "57014", 0, "a statement that ran too long");
                same(rows(c, 0, "SELECT COUNT(*) FROM " + cold + " WHERE id = ?", 7), "1", "cold, after a cancel");
            } catch (AssertionError | SQLException e) {
                throw new AssertionError("with " + option, e);
            }
        }
        List<String> modes = new ArrayList<>();
        for (String[] mode : new String[][] {{"text", "prepareThreshold=0&binaryTransfer=false"},
            {"prepared", "prepareThreshold=-1"}, {"simple", "preferQueryMode=simple"}}) {
            try (Connection c = DriverManager.getConnection(url + "sslmode=disable&" + mode[1], "root", "")) {
                modes.add(json(mode[0]) + ": " + twins(c, true));
            }
        }
        System.out.println("{" + String.join(", ", modes) + "}");
        System.out.println("ok");
    }

    /** A batch is one transaction, which a change of a cold table cannot be part of: it is refused, and takes the hot ones back. */
    static void together(Connection c, String hot, String cold) throws SQLException {
        for (String name : new String[] {cold, hot}) same(change(c, "DELETE FROM " + name + " WHERE id = ?", 1), 1, "deleted");
        try (Statement s = c.createStatement()) {
            for (String name : new String[] {hot, cold}) s.addBatch("DELETE FROM " + name + " WHERE id = 2");
            fails(s::executeBatch, "55000", 0, "a batch of both");
        }
        same(rows(c, 0, "SELECT COUNT(*) FROM " + cold), String.valueOf(ROWS - 1), "cold, after the batch");
        same(rows(c, 0, "SELECT COUNT(*) FROM " + hot), String.valueOf(ROWS - 1), "hot, after the batch");
    }

    /** The driver sets a savepoint before each statement, and goes back to it after an error. */
    static void saved(Connection c, String hot, String cold) throws SQLException {
        change(c, "DELETE FROM " + hot + " WHERE id = ?", 2);
        for (String bad : new String[] {"SELECT absent FROM " + cold, "SELECT absent FROM " + hot,
            "SELECT * FROM absent", "DELETE FROM " + cold}) {
            for (int i = 0; i < 4; i++) {
                fails(() -> change(c, bad), bad.startsWith("DELETE") ? "55000" : bad.endsWith("FROM absent") ? "42P01" : "42703", 0, bad);
                same(rows(c, 0, "SELECT COUNT(*) FROM " + cold + " WHERE id = ?", 7), "1", "cold, saved");
                same(rows(c, 0, "SELECT COUNT(*) FROM " + hot + " WHERE id = ?", 2), "0", "hot, saved");
            }
        }
        c.rollback();
        same(rows(c, 0, "SELECT COUNT(*) FROM " + hot + " WHERE id = ?", 2), "1", "hot, rolled back");
        c.commit();
    }

    static void copies(Connection c, String hot, String cold) throws Exception {
        CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
        String data = "90001\tone\n90002\t\\N\n";
        for (String name : new String[] {cold, hot, cold}) {
            change(c, "DELETE FROM " + name + " WHERE id > ?", 90000);
            same(copy.copyIn("COPY " + name + " (id, name) FROM STDIN", new StringReader(data)), 2L, "copied in");
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            same(copy.copyOut("COPY (SELECT id, name FROM " + name + " WHERE id > 90000 ORDER BY id) TO STDOUT", out), 2L, "copied out");
            same(out.toString(StandardCharsets.UTF_8), data, "copy of " + name);
        }
    }

    static void keys(Connection c, String table, String cold) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute("CREATE TABLE " + table + " (id SERIAL PRIMARY KEY, name VARCHAR(9))");
            for (int want = 1; want <= 3; want++) {
                rows(c, 0, "SELECT * FROM " + cold + " WHERE id = ?", want);
                s.executeUpdate("INSERT INTO " + table + " (name) VALUES ('x')", Statement.RETURN_GENERATED_KEYS);
                try (ResultSet r = s.getGeneratedKeys()) {
                    r.next();
                    same(r.getInt(1), want, "key");
                }
            }
        }
    }

    static void cancelled(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.setQueryTimeout(1);
            s.execute("SELECT pg_sleep(30)");
        }
    }
}
