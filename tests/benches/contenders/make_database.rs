//! Creates the database that the contenders' `/query` reads: 10,000 rows, indexed by number.
use rusqlite::Connection;

fn main() -> rusqlite::Result<()> {
    let path = std::env::args_os().nth(1).expect("the path of the database is the one argument");
    let mut connection = Connection::open(path)?;
    let making = connection.transaction()?;
    making
        .execute_batch("DROP TABLE IF EXISTS rows; CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")?;
    for id in 1..=10_000 {
        making
            .execute("INSERT INTO rows (id, name) VALUES (?1, ?2)", (id, format!("the row with the number {id:05}")))?;
    }
    making.commit()
}
