//! How the marks of tags and namespaces stand in the server.

mod support;

use std::time::Duration;

use support::{LONG, connect, number, stored};
use tiered_core::{L2, NewMark, Result, Version};
use tiered_tests::RedisServer;

const NAME: &str = "#tag:{users}:red";

#[tokio::test]
async fn all_see_the_same_mark() -> Result<()> {
    let server = RedisServer::start().await;
    let (one, two) = (connect(&server).await?, connect(&server).await?);
    for round in 0..50 {
        let name = format!("#tag:{{users}}:{round}");
        let (mine, theirs) = ([mark(&name, 1)], [mark(&name, 2)]);
        let (read, also_read) = tokio::join!(one.read_marks(&mine), two.read_marks(&theirs));
        assert_eq!(read?, also_read?);
    }
    Ok(())
}

#[tokio::test]
async fn a_mark_is_eight_bytes_under_its_name() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    redis.write_marks(&[mark(NAME, 1)]).await?;
    assert_eq!(stored(&server, NAME).await, [1; 8]);
    redis.read_marks(&[mark("plain", 2)]).await?;
    assert_eq!(stored(&server, "#plain").await, [2; 8]);
    Ok(())
}

#[tokio::test]
async fn a_mark_that_is_read_lives_on() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let short = NewMark {
        life: Duration::from_secs(1),
        ..mark(NAME, 1)
    };
    redis.write_marks(&[mark(NAME, 2), short]).await?;
    assert!(number(&server, &["PTTL", NAME]).await <= 1_000);
    assert_eq!(redis.read_marks(&[mark(NAME, 3)]).await?, [version(1)]);
    assert!(number(&server, &["PTTL", NAME]).await > 50_000);
    redis.read_marks(&[short]).await?;
    assert!(number(&server, &["PTTL", NAME]).await > 50_000);
    Ok(())
}

#[tokio::test]
async fn what_is_no_mark_is_replaced_by_one() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    for foreign in [["SET", NAME, "nine byte"], ["RPUSH", NAME, "a"]] {
        server.raw(&["DEL", NAME]).await;
        server.raw(&foreign).await;
        assert_eq!(redis.read_marks(&[mark(NAME, 1)]).await?, [version(1)]);
        assert_eq!(stored(&server, NAME).await, [1; 8]);
    }
    Ok(())
}

#[tokio::test]
async fn many_marks_are_read_and_written_in_their_order() -> Result<()> {
    let server = RedisServer::start().await;
    let redis = connect(&server).await?;
    let names: Vec<_> = (0..1_200).map(|number| format!("#{number}")).collect();
    let mark = |(number, name): (u64, _)| NewMark {
        version: Version::from_bytes(number.to_le_bytes()),
        ..mark(name, 0)
    };
    let names = names.iter().map(String::as_str);
    let marks: Vec<_> = (1..).zip(names).map(mark).collect();
    redis.write_marks(&marks).await?;
    let versions: Vec<_> = marks.iter().map(|mark| mark.version).collect();
    assert_eq!(redis.read_marks(&marks).await?, versions);
    Ok(())
}

fn mark(name: &str, byte: u8) -> NewMark<'_> {
    NewMark {
        name,
        version: version(byte),
        life: LONG,
    }
}

fn version(byte: u8) -> Version {
    Version::from_bytes([byte; 8])
}
