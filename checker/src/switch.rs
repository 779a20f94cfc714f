//! Something that requests turn on and off, and what is certain about it meanwhile.

/// What is paused or not, or bound or not. A search looks at its requests one after the other: in a
/// history they are few.
#[derive(Default)]
pub(super) struct Switch {
    /// In the order of asking.
    turns: Vec<Turn>,
}

/// From when until when something was under way that a connection asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct During {
    pub connection: u64,
    /// The place among all requests of one that is carried out at once, in its turn.
    pub order: Option<u64>,
    pub asked_ns: u64,
    pub from_ns: u64,
    pub to_ns: u64,
}

struct Turn {
    /// The request's place among all.
    order: u64,
    connection: u64,
    asked_ns: u64,
    /// When it was known to be done; a request without an answer may be done at any time.
    known_ns: Option<u64>,
    on: bool,
    /// What it turned, where one name stands for one thing after the other.
    of: u32,
}

impl Switch {
    /// A request to turn it on or off.
    pub fn asked(&mut self, (connection, order): (u64, u64), asked_ns: u64, on: bool) {
        self.turns.push(Turn { order, connection, asked_ns, known_ns: None, on, of: 0 });
    }

    /// It was carried out, on that thing of the name.
    pub fn known(&mut self, order: u64, at_ns: u64, of: u32) {
        if let Some(turn) = self.turns.iter_mut().rfind(|turn| turn.order == order) {
            (turn.known_ns, turn.of) = (Some(at_ns), of);
        }
    }

    /// It changed nothing.
    pub fn refused(&mut self, order: u64) {
        self.turns.retain(|turn| turn.order != order);
    }

    /// Whether that thing was on, or off, for a request of a connection and whatever came of it
    /// between two moments: somebody knew it, or the connection had asked for it, and nobody can
    /// have changed it.
    pub fn surely(&self, on: bool, of: u32, during: During) -> bool {
        let During { connection, order, asked_ns, from_ns, to_ns } = during;
        let settled = |turn: &&Turn| {
            let before = order.map_or(turn.asked_ns < asked_ns, |order| turn.order < order);
            let own = turn.connection == connection && before;
            turn.known_ns.is_some_and(|known_ns| known_ns <= from_ns || own)
        };
        let said = self.turns.iter().filter(|turn| turn.on == on && turn.of == of);
        let Some(last) = said.filter(settled).max_by_key(|turn| turn.asked_ns) else {
            return false;
        };
        let mut others = self.turns.iter().filter(|turn| turn.on != on);
        !others.any(|turn| {
            let known = turn.known_ns.is_some_and(|known_ns| known_ns < last.asked_ns);
            let before = turn.connection == last.connection && turn.order < last.order;
            let after = turn.connection == connection && order.is_some_and(|it| turn.order > it);
            turn.asked_ns <= to_ns && !known && !before && !after
        })
    }

    /// Whether it may have been on at some time between two moments; it was off at first.
    pub fn may_be_on(&self, during: During) -> bool {
        let asked = self.turns.iter().any(|turn| turn.on && turn.asked_ns <= during.to_ns);
        asked && !self.surely(false, 0, during)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is certain for a connection that asks for nothing else.
    fn of_other(from_ns: u64, to_ns: u64) -> During {
        During { connection: 9, order: None, asked_ns: from_ns, from_ns, to_ns }
    }

    #[test]
    fn only_what_nobody_can_have_changed_is_certain() {
        let mut switch = Switch::default();
        let surely_on = |switch: &Switch, from, to| switch.surely(true, 0, of_other(from, to));
        assert!(!surely_on(&switch, 5, 6) && !switch.may_be_on(of_other(5, 6)));
        switch.asked((1, 1), 10, true);
        assert!(!surely_on(&switch, 20, 30), "asked, and not known");
        assert!(switch.may_be_on(of_other(20, 30)) && !switch.may_be_on(of_other(5, 9)));
        switch.known(1, 15, 0);
        assert!(surely_on(&switch, 15, 30) && !surely_on(&switch, 14, 30));
        switch.asked((2, 2), 40, false);
        assert!(surely_on(&switch, 15, 39) && !surely_on(&switch, 15, 40));
        switch.known(2, 45, 0);
        assert!(switch.surely(false, 0, of_other(45, 90)) && !switch.may_be_on(of_other(45, 90)));
        switch.asked((1, 3), 50, true);
        switch.refused(3);
        assert!(!switch.may_be_on(of_other(60, 90)));
        switch.asked((1, 4), 60, true);
        switch.asked((2, 5), 61, false);
        switch.known(5, 62, 0);
        switch.known(4, 63, 0);
        assert!(!surely_on(&switch, 70, 80), "both were under way at a time");
        assert!(!switch.surely(false, 0, of_other(70, 80)));
    }

    #[test]
    fn a_connection_is_served_in_the_order_of_its_requests() {
        let mut switch = Switch::default();
        switch.asked((1, 1), 10, false);
        switch.asked((1, 2), 11, true);
        switch.known(1, 30, 0);
        switch.known(2, 31, 0);
        let own = |asked_ns| During { connection: 1, ..of_other(asked_ns, 40) };
        assert!(switch.surely(true, 0, own(12)) && !switch.surely(true, 0, own(11)));
        assert!(!switch.surely(true, 0, of_other(12, 40)));
        switch.asked((1, 4), 12, false);
        switch.known(4, 35, 0);
        let third = During { order: Some(3), ..own(11) };
        assert!(switch.surely(true, 0, third) && !switch.surely(true, 0, own(12)));
    }

    #[test]
    fn a_name_stands_for_one_thing_after_the_other() {
        let mut switch = Switch::default();
        switch.asked((1, 1), 10, true);
        switch.known(1, 15, 7);
        let during = of_other(20, 30);
        assert!(switch.surely(true, 7, during) && !switch.surely(true, 8, during));
    }
}
