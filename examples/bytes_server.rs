//! An async server that receives files over a socket and serves them as `Bytes` without a copy.
//! Run it with `cargo run --example bytes_server`.

use std::io::Result;

use bytes::Bytes;
use memfile::{MemFile, SealedFile};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (feed, feed_end) = UnixStream::pair()?;
    let (mut client, client_end) = UnixStream::pair()?;
    let publisher = tokio::spawn(publish(feed));
    let server = tokio::spawn(serve(feed_end, client_end));

    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await?;
    println!("the client read {} bytes, {} lines", answer.len(), lines(&answer));
    publisher.await??;
    server.await?
}

async fn publish(feed: UnixStream) -> Result<()> {
    let file = MemFile::create_sealable("page")?;
    file.write_all_at("all work and no play\n".repeat(50_000).as_bytes(), 0)?;
    // Adding the seal Write may wait about 160 ms for pages in flight, so it does not belong on an async thread.
    let sealed = tokio::task::spawn_blocking(move || file.into_sealed()).await??;
    feed.async_io(Interest::WRITABLE, || Ok(sealed.send(&feed, b"page")?)).await?;
    Ok(())
}

async fn serve(feed: UnixStream, mut client: UnixStream) -> Result<()> {
    let mut name = [0; 64];
    let (len, file) = feed.async_io(Interest::READABLE, || Ok(SealedFile::recv(&feed, &mut name)?)).await?;
    let page = Bytes::from_owner(file.map()?);
    println!("got {}, {} bytes", name.get(..len).unwrap_or_default().escape_ascii(), page.len());

    let twice = [page.clone(), page.slice(..21)];
    println!("the parts lie at the same address: {}", twice.iter().all(|part| part.as_ptr() == page.as_ptr()));
    for mut part in twice {
        client.write_all_buf(&mut part).await?;
    }
    Ok(())
}

fn lines(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte == b'\n').count()
}
