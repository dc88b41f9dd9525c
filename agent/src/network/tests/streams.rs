//! Streams between pods: bytes, ends, resets and backlogs.

use super::*;
use futures_util::FutureExt;
use std::net::Shutdown;

async fn pair(port: u16) -> (Connection, Connection) {
    let fabric = fabric();
    let (client, server) = (pod(&fabric, 1), pod(&fabric, 2));
    let listener = server.listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)).unwrap();
    let near = client.connect(SocketAddr::new(server.ip(), port)).await.unwrap();
    (near, listener.accept().await.unwrap())
}

#[tokio::test]
async fn half_close_lets_the_answer_through() {
    let (mut near, mut far) = pair(80).await;
    near.write_all(b"all of it").await.unwrap();
    near.shutdown().await.unwrap();
    let mut question = Vec::new();
    far.read_to_end(&mut question).await.unwrap();
    far.write_all(b"answer").await.unwrap();
    assert_eq!(near.write(b"more").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    drop(far);
    let mut answer = Vec::new();
    near.read_to_end(&mut answer).await.unwrap();
    assert_eq!((question, answer), (b"all of it".to_vec(), b"answer".to_vec()));
}

#[tokio::test]
async fn shutting_down_receiving_discards() {
    let (mut near, mut far) = pair(80).await;
    far.write_all(b"early").await.unwrap();
    near.end().shutdown(Shutdown::Read);
    far.write_all(&[0; 3_000_000]).await.unwrap();
    let mut seen = Vec::new();
    near.read_to_end(&mut seen).await.unwrap();
    assert!(seen.is_empty());
    near.write_all(b"still sending").await.unwrap();
    drop(near);
    far.read_to_end(&mut seen).await.unwrap();
    assert_eq!(seen, b"still sending");
}

#[tokio::test]
async fn writing_to_a_peer_that_left_is_a_broken_pipe() {
    let (mut near, far) = pair(80).await;
    near.write_all(b"unread").await.unwrap();
    drop(far);
    assert_eq!(near.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(near.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_reset_comes_after_what_was_delivered() {
    let (mut near, mut far) = pair(80).await;
    far.write_all(b"last words").await.unwrap();
    far.end().reset();
    drop(far);
    let mut seen = [0; 10];
    near.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"last words");
    assert_eq!(near.read(&mut [0; 1]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(near.write(b"x").await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_megabyte_fits_before_the_writer_waits() {
    let (mut near, mut far) = pair(80).await;
    // As a client that sends 700 kB before it reads.
    near.write_all(&[1; 700_000]).now_or_never().expect("fits").unwrap();
    let mut written = 700_000;
    while let Some(more) = near.write(&[1; 50_000]).now_or_never() {
        written += more.unwrap();
    }
    assert!((900_000..1_100_000).contains(&written), "{written}");
    let mut read = vec![0; written];
    let (wrote, _) = tokio::join!(near.write_all(&[2; 50_000]), far.read_exact(&mut read));
    wrote.unwrap();
    assert!(read.iter().all(|byte| *byte == 1));
}

#[tokio::test]
async fn bytes_arrive_in_order_whatever_their_pieces() {
    let (near, mut far) = pair(80).await;
    let halves = near.into_halves();
    let text: Vec<u8> = (0..300_000_u32).flat_map(|number| number.to_le_bytes()).collect();
    let expected = text.clone();
    let writer = tokio::spawn(async move {
        let (_read, near) = halves;
        let mut rest = Bytes::from(text);
        let mut piece = 1;
        while !rest.is_empty() {
            std::future::poll_fn(|context| near.poll_writable(context)).await;
            let room = near.room_bytes().unwrap();
            let length = piece.min(rest.len()).min(room);
            if piece % 2 == 0 {
                near.write(rest.split_to(length)).unwrap();
            } else {
                let wrote = near.try_write(&rest[..length]).unwrap();
                drop(rest.split_to(wrote));
            }
            piece = piece * 3 % 70_001 + 1;
        }
    });
    let mut seen = Vec::new();
    far.read_to_end(&mut seen).await.unwrap();
    writer.await.unwrap();
    assert!(seen == expected);
}

#[tokio::test]
async fn one_byte_writes_are_charged_and_bounded() {
    let (near, far) = pair(80).await;
    let (_read, write) = near.into_halves();
    let mut written = 0;
    while write.room_bytes().unwrap() > 0 {
        write.write(Bytes::from_static(b"x")).unwrap();
        written += 1;
    }
    assert!(written > 500_000, "{written}");
    let (mut read, _write) = far.into_halves();
    assert_eq!(read.available_bytes(), written);
    let mut seen = 0;
    while let Ok(bytes) = read.try_read(usize::MAX) {
        seen += bytes.len();
    }
    assert_eq!(seen, written);
    assert_eq!(write.try_write(b"again"), Ok(5));
}

#[tokio::test]
async fn a_full_backlog_makes_the_dialer_wait() {
    let fabric = fabric();
    let (client, server) = (pod(&fabric, 1), pod(&fabric, 2));
    let listener = server.listen(address("0.0.0.0:80")).unwrap();
    listener.set_backlog(2);
    let _first = client.connect(address("10.0.0.2:80")).await.unwrap();
    let _second = client.connect(address("10.0.0.2:80")).await.unwrap();
    let mut third = Box::pin(client.connect(address("10.0.0.2:80")));
    assert!(third.as_mut().now_or_never().is_none());
    listener.accept().await.unwrap();
    third.await.unwrap();
    let mut fourth = Box::pin(client.connect(address("10.0.0.2:80")));
    assert!(fourth.as_mut().now_or_never().is_none());
    drop(listener);
    assert_eq!(error(fourth.await), NetworkError::ConnectionRefused);
}

#[tokio::test]
async fn connections_that_were_never_accepted_are_reset() {
    let fabric = fabric();
    let (client, server) = (pod(&fabric, 1), pod(&fabric, 2));
    let listener = server.listen(address("0.0.0.0:80")).unwrap();
    let mut waiting = client.connect(address("10.0.0.2:80")).await.unwrap();
    drop(listener);
    assert_eq!(waiting.read(&mut [0; 1]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}
