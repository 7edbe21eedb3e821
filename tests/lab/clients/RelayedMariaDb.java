import java.sql.*;
import java.util.*;

/**
 * MariaDB Connector/J through Flashgate in front of a MariaDB or MySQL:
 * java RelayedMariaDb HOST PORT MARK [bulk]. MARK begins the names of its tables;
 * with bulk batches go as COM_STMT_BULK_EXECUTE.
 * Prints what it reads of twin_hot and twin_cold as JSON, then "ok"; or throws.
 */
public class RelayedMariaDb extends Relayed {
    public static void main(String[] args) throws Exception {
        String url = "jdbc:mariadb://" + args[0] + ":" + args[1] + "/hot?";
        String tls = "useSSL=true&trustServerCertificate=true&";
        String[] options = {
            "useServerPrepStmts=false", "useServerPrepStmts=true", "useServerPrepStmts=true&rewriteBatchedStatements=true",
            tls + "useServerPrepStmts=false&rewriteBatchedStatements=true",
            tls + "useServerPrepStmts=true&useBulkStmts=false&allowMultiQueries=true",
            "useServerPrepStmts=true&useBatchMultiSend=false&sessionVariables=sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
        };
        if (args.length > 3) options = new String[] {"useServerPrepStmts=true&useBulkStmts=true",
            tls + "useServerPrepStmts=true&useBulkStmts=true"};
        int number = 0;
        for (String option : options) {
            String hot = args[2] + "_h" + number, cold = args[2] + "_c" + number++;
            try (Connection c = DriverManager.getConnection(url + option, "root", "")) {
                boolean secure = !rows(c, 0, "SHOW STATUS LIKE 'Ssl_cipher'").equals("Ssl_cipher|");
                same(secure, option.startsWith(tls), "TLS");
                try (Statement s = c.createStatement()) {
                    s.execute("CREATE TABLE " + hot + " (id INT, name VARCHAR(50))");
                    s.execute("CREATE TABLE " + cold + " (id INT, name VARCHAR(50)) ENGINE='OSS'");
                }
                turns(c, hot, cold, "CAST(NOW(6) AS CHAR)", "HY000", 1290, false);
                batches(c, hot, cold);
                try (Statement s = c.createStatement()) {
                    for (String name : new String[] {cold, hot, cold}) s.addBatch("DELETE FROM " + name + " WHERE id = 1");
                    same(Arrays.toString(s.executeBatch()), "[1, 1, 0]", "a batch of both");
                }
                parts(c, hot, cold);
                if (option.contains("allowMultiQueries")) several(c, hot, cold);
                keys(c, args[2] + "_k" + number, cold);
                c.setCatalog("other");
                same(rows(c, 0, "SELECT COUNT(*) FROM hot." + cold + " WHERE id >= ?", 0),
                    String.valueOf(ROWS - 1), "from another database");
                fails(() -> rows(c, 0, "SELECT * FROM " + cold), "42S02", 1146, "a name of another database");
                c.setCatalog("hot");
                same(rows(c, 0, "SELECT COUNT(*) FROM " + cold), String.valueOf(ROWS - 1), "back again");
            } catch (AssertionError | SQLException e) {
                throw new AssertionError("with " + option, e);
            }
        }
        List<String> modes = new ArrayList<>();
        for (boolean server : new boolean[] {false, true}) {
            try (Connection c = DriverManager.getConnection(url + "useServerPrepStmts=" + server, "root", "")) {
                modes.add((server ? "\"prepared\": " : "\"text\": ") + twins(c, server));
            }
        }
        System.out.println("{" + String.join(", ", modes) + "}");
        System.out.println("ok");
    }

    /** A text of several statements, whoever answers. */
    static void several(Connection c, String hot, String cold) throws SQLException {
        try (Statement s = c.createStatement()) {
            boolean result = s.execute("SELECT 1; SELECT COUNT(*) FROM " + cold + "; UPDATE "
                + hot + " SET name = 'x' WHERE id = 5; SELECT COUNT(*) FROM " + hot);
            List<String> got = new ArrayList<>();
            while (result || s.getUpdateCount() != -1) {
                if (result) {
                    ResultSet r = s.getResultSet();
                    r.next();
                    got.add(r.getString(1));
                } else {
                    got.add("changed " + s.getUpdateCount());
                }
                result = s.getMoreResults();
            }
            same(got.toString(), "[1, " + (ROWS - 1) + ", changed 1, " + (ROWS - 1) + "]", "several");
        }
    }

    /** Keys that the database makes are its own, whatever of ours ran between. */
    static void keys(Connection c, String table, String cold) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute("CREATE TABLE " + table + " (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(9))");
            for (int want = 1; want <= 3; want++) {
                rows(c, 0, "SELECT * FROM " + cold + " WHERE id = ?", want);
                s.executeUpdate("INSERT INTO " + table + " (name) VALUES ('x')", Statement.RETURN_GENERATED_KEYS);
                rows(c, 0, "SELECT * FROM " + cold + " WHERE id = ?", want);
                try (ResultSet r = s.getGeneratedKeys()) {
                    r.next();
                    same(r.getInt(1), want, "key");
                }
                same(rows(c, 0, "SELECT LAST_INSERT_ID()"), String.valueOf(want), "last key");
            }
        }
    }
}
