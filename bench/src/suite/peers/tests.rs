//! The peers' loads against the real servers, where the host has them.

use super::*;

fn cpu() -> usize {
    core_affinity::get_core_ids().expect("this host tells its CPUs")[0].id
}

/// What `work` gives; nothing, said aloud, where the peer is not installed.
fn unless_missing<T>(work: impl FnOnce() -> Result<T, Failure>) -> Option<T> {
    match work() {
        Ok(value) => Some(value),
        Err(Failure::NotInstalled(told)) => {
            eprintln!("skipped: {told}");
            None
        }
        Err(failure) => panic!("{failure}"),
    }
}

/// The shapes that scenarios use, and smaller ones.
const SHAPES: [(u32, u32, u32); 4] = [(1, 1, 1), (3, 6, 2), (4, 64, 1), (2, 256, 256)];

fn check(peer: PeerName) {
    for (connections, pipeline, batch) in SHAPES {
        let run = PeerRun { peer, connections, pipeline, batch };
        let measure = || run.measure((cpu(), cpu()), Duration::from_millis(40), 100);
        let Some(figures) = unless_missing(measure) else { return };
        for figure in [
            Figure::MessagesPerSecond,
            Figure::ServerCpuNsPerMessage,
            Figure::MessagesPerServerCpuSecond,
            Figure::CpuPercent,
        ] {
            assert!(figures.get(figure) > Some(1.0), "{run}: {figures:?}");
        }
    }
}

#[test]
fn redis_streams_deliver_each_message_once() {
    check(PeerName::RedisStreams);
}

#[test]
fn beanstalkd_delivers_each_message_once() {
    check(PeerName::Beanstalkd);
}

/// A message that somebody else put, took or left behind spoils the count, and is found.
fn check_intruder<P: Peer>(peer: PeerName) {
    let run = PeerRun { peer, connections: 2, pipeline: 4, batch: 2 };
    let load = || {
        let server = HostServer::start(&P::SERVER, cpu())?;
        let load = Load::<P>::connect(run, server.port, 100)?;
        let stranger = Wire::connect(server.port)?;
        Ok((server, load, stranger))
    };
    // A put of another program: delivered to us, and not one of ours.
    let Some((_server, mut foreign, mut stranger)) = unless_missing(load) else { return };
    P::put(&mut stranger.outgoing, b"not ours");
    stranger.send().expect("the server reads");
    P::put_reply(&mut stranger.answers).expect("it was put");
    let outcome = foreign.run_for(Duration::from_millis(5)).and_then(|()| foreign.finish());
    let told = outcome.expect_err("a foreign message came").to_string();
    assert!(told.contains("nobody put"), "{told}");

    // One of our own numbers again: the books of a second load know only what it put itself.
    let Some((_server, mut twice, mut stranger)) = unless_missing(load) else { return };
    let payload = Once::new(100).next().to_vec();
    P::put(&mut stranger.outgoing, &payload);
    stranger.send().expect("the server reads");
    P::put_reply(&mut stranger.answers).expect("it was put");
    let outcome = twice.run_for(Duration::from_millis(5)).and_then(|()| twice.finish());
    let told = outcome.expect_err("a message came twice").to_string();
    assert!(told.contains("message 0 came twice"), "{told}");
}

#[test]
fn a_message_too_many_is_found() {
    check_intruder::<Streams>(PeerName::RedisStreams);
    check_intruder::<Beanstalk>(PeerName::Beanstalkd);
}

/// What is taken and not acknowledged shows in the server's own counts.
fn check_left<P: Peer>() {
    let outcome = unless_missing(|| {
        let server = HostServer::start(&P::SERVER, cpu())?;
        let mut wire = Wire::connect(server.port)?;
        P::prepare(&mut wire)?;
        P::put(&mut wire.outgoing, b"left");
        P::take(&mut wire.outgoing, 1);
        wire.send()?;
        P::put_reply(&mut wire.answers)?;
        let mut ids = Vec::new();
        P::take_reply(&mut wire.answers, 1, |id, _| {
            ids.push(id);
            Ok(())
        })?;
        let early = P::check_end(&mut Wire::connect(server.port)?, 1);
        P::settle(&mut wire.outgoing, &ids);
        wire.send()?;
        P::settle_reply(&mut wire.answers, 1)?;
        Ok((early, P::check_end(&mut wire, 2), P::check_end(&mut Wire::connect(server.port)?, 1)))
    });
    let Some((early, miscounted, done)) = outcome else { return };
    assert!(early.is_err() && miscounted.is_err(), "{early:?} {miscounted:?}");
    assert_eq!(done, Ok(()));
}

#[test]
fn what_is_left_on_the_server_is_found() {
    check_left::<Streams>();
    check_left::<Beanstalk>();
}

#[test]
fn a_run_is_named_with_its_shape() {
    let run = PeerRun { peer: PeerName::RedisStreams, connections: 8, pipeline: 256, batch: 256 };
    assert_eq!(run.to_string(), "Redis streams, batches of 256, 8 connections x 256");
    let run = PeerRun { peer: PeerName::Beanstalkd, batch: 1, ..run };
    assert_eq!(run.to_string(), "beanstalkd, 8 connections x 256");
}
