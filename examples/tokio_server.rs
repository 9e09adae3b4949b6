//! A tokio server that receives sealed files over a Unix socket, answers with others, and serves the bytes without a copy.
//! Run it with `cargo run --example tokio_server`.

use std::io::{ErrorKind, Result};

use bytes::Bytes;
use memfile::SealedFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// The payload of each file: a stream carries a file with at least one byte, and could split a longer payload.
const MESSAGE: &[u8] = b"f";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (feed, feed_end) = UnixStream::pair()?;
    let (mut browser, browser_end) = UnixStream::pair()?;
    let publisher = tokio::spawn(publish(feed));
    let server = tokio::spawn(serve(feed_end, browser_end));

    let mut answer = Vec::new();
    browser.read_to_end(&mut answer).await?;
    publisher.await??;
    println!("the browser read {} bytes, {} lines", answer.len(), lines(&answer));
    server.await?
}

/// Sends files from one task while another one receives the answers.
async fn publish(feed: UnixStream) -> Result<()> {
    // The halves lack `AsFd`, but the stream that they share has it: `as_ref` returns the stream.
    let (answers, requests) = feed.into_split();
    let sender = tokio::spawn(async move {
        for repeat in [1, 1000, 50_000] {
            let page = sealed("page", "all work and no play\n".repeat(repeat)).await?;
            send(requests.as_ref(), &page).await?;
        }
        // Dropping `requests` shuts this direction down, so the server sees the end.
        Ok::<_, std::io::Error>(())
    });
    while let Some(answer) = receive(answers.as_ref()).await? {
        println!("the publisher got {:?}: {}", answer.name()?, answer.map()?.escape_ascii());
    }
    sender.await?
}

/// Maps each file, answers with another one, and passes the bytes on.
async fn serve(feed: UnixStream, mut browser: UnixStream) -> Result<()> {
    while let Some(file) = receive(&feed).await? {
        let page = Bytes::from_owner(file.map()?);
        let answer = format!("{} bytes, {} lines", page.len(), lines(&page));
        send(&feed, &sealed("answer", answer).await?).await?;

        let start = page.slice(..page.len().min(20));
        assert!(start.is_empty() || start.as_ptr() == page.as_ptr(), "a part of a page is not a copy");
        browser.write_all_buf(&mut page.clone()).await?;
    }
    Ok(())
}

/// Sealing may wait about 160 ms for pages in use elsewhere, and copying keeps a thread busy: neither belongs on an async thread.
async fn sealed(name: &'static str, text: String) -> Result<SealedFile> {
    Ok(tokio::task::spawn_blocking(move || SealedFile::from_bytes(name, text.as_bytes())).await??)
}

/// Waits until the stream accepts bytes, and then sends. If it does not accept them after all, `async_io` waits again: it looks for
/// the kind `WouldBlock`, which the conversion into `std::io::Error` keeps.
async fn send(stream: &UnixStream, file: &SealedFile) -> Result<()> {
    stream.async_io(Interest::WRITABLE, || Ok(file.send(stream, MESSAGE)?)).await?;
    Ok(())
}

/// Waits for a file and checks it. Returns `None` if the peer has ended the stream.
async fn receive(stream: &UnixStream) -> Result<Option<SealedFile>> {
    let receive = || Ok(SealedFile::recv(stream, &mut [0; MESSAGE.len()])?);
    match stream.async_io(Interest::READABLE, receive).await {
        Ok((_, file)) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn lines(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == b'\n').count()
}
