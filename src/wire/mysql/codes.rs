//! The protocol's numbers as the types of the wire: commands (`include/my_command.h`) and bits of the server status
//! (`include/mysql_com.h`). mysql_common has them as an enum and as flags.

use mysql_common::constants::{Command, StatusFlags};

pub const COM_QUIT: u8 = Command::COM_QUIT as u8;
pub const COM_INIT_DB: u8 = Command::COM_INIT_DB as u8;
pub const COM_QUERY: u8 = Command::COM_QUERY as u8;
pub const COM_FIELD_LIST: u8 = Command::COM_FIELD_LIST as u8;
pub const COM_STATISTICS: u8 = Command::COM_STATISTICS as u8;
pub const COM_PROCESS_INFO: u8 = Command::COM_PROCESS_INFO as u8;
pub const COM_PROCESS_KILL: u8 = Command::COM_PROCESS_KILL as u8;
pub const COM_PING: u8 = Command::COM_PING as u8;
pub const COM_CHANGE_USER: u8 = Command::COM_CHANGE_USER as u8;
pub const COM_BINLOG_DUMP: u8 = Command::COM_BINLOG_DUMP as u8;
pub const COM_TABLE_DUMP: u8 = Command::COM_TABLE_DUMP as u8;
pub const COM_STMT_PREPARE: u8 = Command::COM_STMT_PREPARE as u8;
pub const COM_STMT_EXECUTE: u8 = Command::COM_STMT_EXECUTE as u8;
pub const COM_STMT_SEND_LONG_DATA: u8 = Command::COM_STMT_SEND_LONG_DATA as u8;
pub const COM_STMT_CLOSE: u8 = Command::COM_STMT_CLOSE as u8;
pub const COM_STMT_RESET: u8 = Command::COM_STMT_RESET as u8;
pub const COM_SET_OPTION: u8 = Command::COM_SET_OPTION as u8;
pub const COM_STMT_FETCH: u8 = Command::COM_STMT_FETCH as u8;
pub const COM_BINLOG_DUMP_GTID: u8 = Command::COM_BINLOG_DUMP_GTID as u8;
pub const COM_RESET_CONNECTION: u8 = Command::COM_RESET_CONNECTION as u8;
pub const COM_STMT_BULK_EXECUTE: u8 = Command::COM_STMT_BULK_EXECUTE as u8;
/// MySQL 8.0's; mysql_common does not have it.
pub const COM_CLONE: u8 = 0x20;

pub const IN_TRANSACTION: u16 = StatusFlags::SERVER_STATUS_IN_TRANS.bits();
pub const AUTOCOMMIT: u16 = StatusFlags::SERVER_STATUS_AUTOCOMMIT.bits();
pub const MORE_RESULTS: u16 = StatusFlags::SERVER_MORE_RESULTS_EXISTS.bits();
pub const CURSOR_EXISTS: u16 = StatusFlags::SERVER_STATUS_CURSOR_EXISTS.bits();
pub const NO_BACKSLASH_ESCAPES: u16 = StatusFlags::SERVER_STATUS_NO_BACKSLASH_ESCAPES.bits();
pub const IN_READ_ONLY_TRANSACTION: u16 = StatusFlags::SERVER_STATUS_IN_TRANS_READONLY.bits();
pub const STATE_CHANGED: u16 = StatusFlags::SERVER_SESSION_STATE_CHANGED.bits();
