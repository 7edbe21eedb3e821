//! The demo's rows: a small shop's orders and customers in the summer of 2022. Plain data.

/// One row of `oss_orders`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    pub id: i64,
    pub user: i64,
    pub item: &'static str,
    pub cents: i64,
    pub status: &'static str,
    /// `DATETIME`, UTC.
    pub created: &'static str,
}

/// One row of `oss_customers`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Customer {
    pub user: i64,
    pub name: &'static str,
    pub city: &'static str,
    /// `DATE`.
    pub since: &'static str,
}

const fn order(id: i64, user: i64, item: &'static str, cents: i64, status: &'static str, created: &'static str) -> Order {
    Order { id, user, item, cents, status, created }
}

const fn customer(user: i64, name: &'static str, city: &'static str, since: &'static str) -> Customer {
    Customer { user, name, city, since }
}

/// Everyone who had an account on 2 June.
pub(super) const CUSTOMERS: [Customer; 8] = [
    customer(100, "Ada Brandt", "Lisbon", "2019-03-14"),
    customer(101, "Bo Lindqvist", "Uppsala", "2019-11-02"),
    customer(102, "Chen Wei", "Hangzhou", "2020-01-20"),
    customer(103, "Dora Kiss", "Szeged", "2020-06-30"),
    customer(104, "Emeka Obi", "Lagos", "2021-02-11"),
    customer(105, "Fatima Zahra", "Rabat", "2021-05-05"),
    customer(106, "Goran Petrov", "Skopje", "2021-12-24"),
    customer(107, "Hana Sato", "Osaka", "2022-05-28"),
];

/// Who came in July.
pub(super) const NEW_CUSTOMERS: [Customer; 2] =
    [customer(108, "Ines Duarte", "Porto", "2022-07-11"), customer(109, "Jonas Weber", "Graz", "2022-07-13")];

/// The loads of June: a week's orders each.
pub(super) const JUNE: [&[Order]; 4] = [
    &[
        order(1, 100, "Desk lamp", 3490, "delivered", "2022-06-02 08:15:00"),
        order(2, 101, "Kettle", 4200, "delivered", "2022-06-02 10:41:12"),
        order(3, 102, "Notebook, A5", 480, "delivered", "2022-06-03 03:20:45"),
        order(4, 104, "Rain jacket", 8999, "delivered", "2022-06-03 17:02:31"),
        order(5, 103, "Garden hose", 2750, "delivered", "2022-06-04 09:55:00"),
        order(6, 102, "Fountain pen", 6400, "delivered", "2022-06-04 12:30:08"),
    ],
    &[
        order(7, 105, "Tea, 250 g", 1290, "delivered", "2022-06-07 06:12:50"),
        order(8, 100, "Bicycle bell", 1150, "delivered", "2022-06-08 18:44:03"),
        order(9, 106, "Head torch", 2499, "delivered", "2022-06-09 20:09:27"),
        order(10, 101, "Wool blanket", 7450, "returned", "2022-06-10 07:35:00"),
        order(11, 107, "Chef's knife", 11800, "delivered", "2022-06-10 23:58:41"),
    ],
    &[
        order(12, 104, "Hiking socks", 1590, "delivered", "2022-06-14 13:25:10"),
        order(13, 103, "Seed box", 990, "delivered", "2022-06-15 08:00:00"),
        order(14, 100, "Coffee, 1 kg", 2180, "delivered", "2022-06-16 07:05:33"),
        order(15, 105, "Mint plant", 650, "delivered", "2022-06-17 16:48:59"),
        order(16, 102, "Ink, blue", 1120, "delivered", "2022-06-18 02:14:20"),
    ],
    &[
        order(17, 106, "Tent, 2 persons", 15900, "shipped", "2022-06-21 19:31:00"),
        order(18, 107, "Rice cooker", 8650, "shipped", "2022-06-22 01:16:44"),
        order(19, 101, "Kettle", 4200, "shipped", "2022-06-23 11:20:05"),
        order(20, 100, "Desk chair", 18900, "shipped", "2022-06-24 09:47:18"),
        order(21, 104, "Water bottle", 1890, "shipped", "2022-06-24 15:03:52"),
    ],
];

/// The load of 3 July: the last one before the mistake.
pub(super) const EARLY_JULY: [Order; 6] = [
    order(22, 103, "Watering can", 1640, "shipped", "2022-06-28 08:22:10"),
    order(23, 100, "Bicycle pump", 2395, "paid", "2022-06-29 17:11:40"),
    order(24, 105, "Tea glasses, 6", 1975, "paid", "2022-06-30 05:40:00"),
    order(25, 102, "Notebook, A5", 480, "paid", "2022-07-01 04:51:36"),
    order(26, 106, "Gas stove", 5430, "paid", "2022-07-01 21:19:09"),
    order(27, 107, "Whetstone", 3870, "new", "2022-07-02 00:37:25"),
];

/// The loads after it.
pub(super) const LATER: [&[Order]; 2] = [
    &[
        order(28, 100, "Book stand", 2640, "paid", "2022-07-11 10:10:10"),
        order(29, 101, "Candle holder", 1430, "paid", "2022-07-12 09:02:37"),
        order(30, 108, "Sun hat", 2200, "paid", "2022-07-14 14:45:00"),
        order(31, 109, "Trail shoes", 12950, "paid", "2022-07-15 18:27:51"),
    ],
    &[
        order(32, 104, "Camping mug", 1180, "new", "2022-07-26 12:12:12"),
        order(33, 102, "Ink, black", 1120, "new", "2022-07-28 03:33:05"),
        order(34, 108, "Beach towel", 2780, "new", "2022-07-30 16:05:49"),
    ],
];
