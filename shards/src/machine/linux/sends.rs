//! What is being sent: one place a connection slot, kept and reused with its arrays.
//!
//! The kernel reads bytes, slices and header until the terminal completion; they lie in boxes that
//! do not move and are not touched between [`Sends::begin`] and [`Sends::completed`].

use crate::limits::SLICES_PER_SEND_MAX;
use crate::world::{Outgoing, Token};
use io_uring::{opcode, squeue, types};
use std::os::fd::RawFd;

/// One send under way or completed, by slot.
#[derive(Default)]
pub struct Sends {
    places: Vec<Option<Box<Place>>>,
}

struct Place {
    state: State,
    outgoing: Outgoing,
    /// Arguments of a gathering send; they point into `outgoing`.
    slices: Vec<libc::iovec>,
    header: libc::msghdr,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Empty,
    UnderWay(Token),
    Completed(Token),
}

impl Sends {
    /// Keeps `outgoing` and makes the entry that sends it. Panics if the slot's last send was not
    /// taken back, or if nothing is left to send.
    ///
    /// Not more than [`SLICES_PER_SEND_MAX`] slices go into one send; a send of more completes
    /// short, as it may for other reasons.
    pub fn begin(&mut self, socket: RawFd, token: Token, outgoing: Outgoing) -> squeue::Entry {
        let slot = token.slot() as usize;
        if slot >= self.places.len() {
            self.places.resize_with(slot + 1, || None);
        }
        let place = self.places[slot].get_or_insert_with(Place::new);
        assert_eq!(place.state, State::Empty, "one send a socket at a time");
        place.state = State::UnderWay(token);
        place.outgoing = outgoing;
        let flags = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        let socket = types::Fd(socket);
        let entry = if place.outgoing.pins.is_empty() {
            let rest = &place.outgoing.bytes[place.outgoing.sent..];
            assert!(!rest.is_empty(), "a send of nothing would never complete as sent");
            let length = u32::try_from(rest.len()).expect("OUTBOUND_BYTES_MAX is far below 4 GiB");
            opcode::Send::new(socket, rest.as_ptr(), length).flags(flags).build()
        } else {
            place.gather();
            opcode::SendMsg::new(socket, &raw const place.header).flags(flags as u32).build()
        };
        entry.user_data(token.0)
    }

    /// Notes a terminal completion: the kernel has let go.
    pub fn completed(&mut self, token: Token) {
        let place = self.place(token);
        assert_eq!(place.state, State::UnderWay(token), "a completion of a send nobody made");
        place.state = State::Completed(token);
    }

    /// What the completed send was sending.
    pub fn take_back(&mut self, token: Token) -> Outgoing {
        let place = self.place(token);
        assert_eq!(place.state, State::Completed(token), "taken back once, when it has completed");
        place.state = State::Empty;
        std::mem::take(&mut place.outgoing)
    }

    fn place(&mut self, token: Token) -> &mut Place {
        let place = self.places.get_mut(token.slot() as usize).and_then(Option::as_mut);
        place.expect("a slot that has sent something")
    }
}

impl Place {
    fn new() -> Box<Self> {
        // SAFETY: a `msghdr` is integers and pointers, for which zero is a value.
        let header = unsafe { std::mem::zeroed() };
        let outgoing = Outgoing::default();
        Box::new(Self { state: State::Empty, outgoing, slices: Vec::new(), header })
    }

    fn gather(&mut self) {
        self.slices.clear();
        let slices = self.outgoing.slices().take(SLICES_PER_SEND_MAX);
        self.slices.extend(slices.map(|slice| libc::iovec {
            iov_base: slice.as_ptr().cast_mut().cast(),
            iov_len: slice.len(),
        }));
        assert!(!self.slices.is_empty(), "a send of nothing would never complete as sent");
        self.header.msg_iov = self.slices.as_mut_ptr();
        self.header.msg_iovlen = self.slices.len();
    }
}
