//! A disk in memory that fails as told: at one operation, by crash or error, or when it is full.
//!
//! It keeps what is durable apart from what the operating system shows. A sync that fails has written some of
//! what was waiting and forgotten the rest, and goes on showing all of it, as Linux does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use super::super::{Access, Disk, Place};

pub(super) const SECTOR: usize = 512;
type Sector = [u8; SECTOR];

/// SplitMix64 [Steele, Lea, Flood, OOPSLA '14].
#[derive(Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Power is lost in the middle of the operation.
    Crash,
    /// The operation fails, done in part. The machine goes on.
    Error,
}

#[derive(Clone, Default)]
struct Content {
    length: u64,
    /// Sectors that were ever written; the others are holes.
    sectors: BTreeMap<u64, Sector>,
}

#[derive(Clone)]
enum Change {
    Length(u64),
    Sector(u64, Box<Sector>),
}

impl Content {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Length(length) => {
                self.length = *length;
                let end = length.div_ceil(SECTOR as u64);
                self.sectors.retain(|number, _| *number < end);
            }
            Change::Sector(number, sector) => {
                self.sectors.insert(*number, **sector);
                self.length = self.length.max((number + 1) * SECTOR as u64);
            }
        }
    }

    fn sector(&self, number: u64) -> Sector {
        self.sectors.get(&number).copied().unwrap_or([0; SECTOR])
    }
}

#[derive(Clone, Default)]
struct Inode {
    durable: Content,
    shown: Content,
    waiting: Vec<Change>,
}

impl Inode {
    fn change(&mut self, change: Change) {
        self.shown.apply(&change);
        self.waiting.push(change);
    }

    /// Makes some of what waits durable, in any order, and forgets the rest.
    fn settle(&mut self, random: &mut Random) {
        let (policy, count) = (random.below(5), self.waiting.len());
        let prefix = random.below(count + 1);
        for (at, change) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            let done = match policy {
                0 => false,
                1 => true,
                2 => at < prefix,
                _ => random.coin(),
            };
            match change {
                // Sectors beyond a length that was not settled have nowhere to be.
                Change::Sector(number, _) if (number + 1) * SECTOR as u64 > self.durable.length => {
                }
                Change::Sector(number, new) if done => {
                    let sector = tear(self.durable.sector(number), *new, random);
                    self.durable.apply(&Change::Sector(number, sector.into()));
                }
                Change::Length(_) if done => self.durable.apply(&change),
                _ => {}
            }
        }
    }
}

/// A sector that is mostly written as one, and sometimes on one side of a break only.
fn tear(old: Sector, new: Sector, random: &mut Random) -> Sector {
    let at = 8 + random.below(SECTOR - 16 - 8 + 1);
    let (mut before, mut after) = (new, new);
    before[at..].copy_from_slice(&old[at..]);
    after[..at].copy_from_slice(&old[..at]);
    match random.below(6) {
        0 => before,
        1 => after,
        _ => new,
    }
}

#[derive(Clone, Copy, Default)]
struct Names {
    log: Option<usize>,
    draft: Option<usize>,
}

#[derive(Clone)]
struct State {
    inodes: Vec<Inode>,
    durable: Names,
    shown: Names,
    operations: u64,
    faults: BTreeMap<u64, Fault>,
    crashed: bool,
    /// Sectors that may be allocated at once.
    capacity: usize,
    random: Random,
}

impl State {
    /// Counts an operation; a fault that is due is the error's reason.
    fn enter(&mut self) -> Result<(), (Fault, io::Error)> {
        if self.crashed {
            return Err((Fault::Crash, io::Error::other("the power is off")));
        }
        let fault = self.faults.remove(&self.operations);
        self.operations += 1;
        self.crashed = fault == Some(Fault::Crash);
        match fault {
            Some(fault) => Err((fault, io::Error::other("injected"))),
            None => Ok(()),
        }
    }

    fn plain(&mut self) -> io::Result<()> {
        self.enter().map_err(|(_, cause)| cause)
    }

    fn allocated(&self) -> usize {
        let named = [self.shown.log, self.shown.draft];
        named.into_iter().flatten().map(|inode| self.inodes[inode].shown.sectors.len()).sum()
    }
}

#[derive(Clone)]
pub(super) struct World(Rc<RefCell<State>>);

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(State {
            inodes: Vec::new(),
            durable: Names::default(),
            shown: Names::default(),
            operations: 0,
            faults: BTreeMap::new(),
            crashed: false,
            capacity: usize::MAX,
            random: Random(seed),
        })))
    }

    /// A world whose log has these bytes.
    pub(super) fn with_log(bytes: &[u8]) -> Self {
        let world = Self::new(0);
        let mut content = Content { length: bytes.len() as u64, ..Content::default() };
        for (number, part) in bytes.chunks(SECTOR).enumerate() {
            let mut sector = [0; SECTOR];
            sector[..part.len()].copy_from_slice(part);
            content.sectors.insert(number as u64, sector);
        }
        {
            let mut state = world.0.borrow_mut();
            let shown = content.clone();
            state.inodes.push(Inode { durable: content, shown, waiting: Vec::new() });
            state.shown.log = Some(0);
            state.durable = state.shown;
        }
        world
    }

    /// The bytes of the log as they are shown.
    pub(super) fn log(&self) -> Vec<u8> {
        let state = self.0.borrow();
        let content = &state.inodes[state.shown.log.expect("a log")].shown;
        let count = content.length / SECTOR as u64;
        (0..count).flat_map(|number| content.sector(number)).collect()
    }

    /// Flips the lowest bit of a byte of the log, on the device and in what is shown.
    pub(super) fn damage(&self, at: usize) {
        let mut state = self.0.borrow_mut();
        let log = state.shown.log.expect("a log");
        let inode = &mut state.inodes[log];
        for content in [&mut inode.shown, &mut inode.durable] {
            let sector = content.sectors.get_mut(&((at / SECTOR) as u64)).expect("written");
            sector[at % SECTOR] ^= 1;
        }
    }

    pub(super) fn fault_at(&self, operation: u64, fault: Fault) {
        self.0.borrow_mut().faults.insert(operation, fault);
    }

    pub(super) fn end_faults(&self) {
        self.0.borrow_mut().faults.clear();
    }

    pub(super) fn set_capacity(&self, sectors: usize) {
        self.0.borrow_mut().capacity = sectors;
    }

    pub(super) fn operations(&self) -> u64 {
        self.0.borrow().operations
    }

    /// The power comes back if it was lost.
    pub(super) fn reboot(&self) -> bool {
        let crashed = self.0.borrow().crashed;
        if crashed {
            self.lose_power();
        }
        crashed
    }

    /// What was not synced settles by chance.
    pub(super) fn lose_power(&self) {
        let mut state = self.0.borrow_mut();
        let state = &mut *state;
        for inode in &mut state.inodes {
            inode.settle(&mut state.random);
            inode.shown = inode.durable.clone();
        }
        if state.random.coin() {
            state.durable = state.shown;
        }
        state.shown = state.durable;
        state.crashed = false;
    }
}

pub(super) struct WorldFile {
    world: World,
    inode: usize,
}

impl Disk for WorldFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.world.0.borrow_mut();
        state.plain()?;
        let content = &state.inodes[self.inode].shown;
        if offset + buffer.len() as u64 > content.length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let first = offset / SECTOR as u64;
        for (number, part) in (first..).zip(buffer.chunks_mut(SECTOR)) {
            part.copy_from_slice(&content.sector(number)[..part.len()]);
        }
        Ok(())
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        assert!(offset.is_multiple_of(SECTOR as u64) && bytes.len().is_multiple_of(SECTOR));
        let mut state = self.world.0.borrow_mut();
        let entered = state.plain();
        let count = bytes.len() / SECTOR;
        let done = if entered.is_ok() { count } else { state.random.below(count + 1) };
        let (first, mut free) =
            (offset / SECTOR as u64, state.capacity.saturating_sub(state.allocated()));
        for (number, part) in (first..).zip(bytes.chunks(SECTOR)).take(done) {
            let inode = &mut state.inodes[self.inode];
            if !inode.shown.sectors.contains_key(&number) {
                free = free.checked_sub(1).ok_or(ErrorKind::StorageFull)?;
            }
            let sector: Sector = part.try_into().expect("a sector");
            inode.change(Change::Sector(number, sector.into()));
        }
        entered
    }

    fn length(&self) -> io::Result<u64> {
        let mut state = self.world.0.borrow_mut();
        state.plain()?;
        Ok(state.inodes[self.inode].shown.length)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.world.0.borrow_mut();
        let entered = state.plain();
        if entered.is_ok() || state.random.coin() {
            state.inodes[self.inode].change(Change::Length(length));
        }
        entered
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.world.0.borrow_mut();
        let state = &mut *state;
        let entered = state.enter();
        let inode = &mut state.inodes[self.inode];
        match entered {
            Ok(()) => {
                // Only what waits is written: what a failed sync forgot is not.
                inode.durable.apply(&Change::Length(inode.shown.length));
                for change in std::mem::take(&mut inode.waiting) {
                    inode.durable.apply(&change);
                }
                Ok(())
            }
            Err((fault, cause)) => {
                if fault == Fault::Error {
                    inode.settle(&mut state.random);
                }
                Err(cause)
            }
        }
    }
}

impl Place for World {
    type File = WorldFile;

    fn open(&self, access: Access) -> io::Result<Option<WorldFile>> {
        let mut state = self.0.borrow_mut();
        state.plain()?;
        let Some(inode) = state.shown.log else { return Ok(None) };
        if access == Access::Write {
            state.shown.draft = None;
            state.plain()?;
            state.durable = state.shown;
        }
        Ok(Some(WorldFile { world: self.clone(), inode }))
    }

    fn draft(&self) -> io::Result<WorldFile> {
        let mut state = self.0.borrow_mut();
        state.plain()?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.shown.draft = Some(inode);
        Ok(WorldFile { world: self.clone(), inode })
    }

    fn publish(&self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        state.plain()?;
        state.shown.log = state.shown.draft.take();
        state.plain()?;
        state.durable = state.shown;
        Ok(())
    }
}
