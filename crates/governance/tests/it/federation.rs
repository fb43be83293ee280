//! Whole federations in a loop: what the parts do alone, they do together.

use federation_proto::entry::ApplySignoff;
use federation_proto::envelope::PayloadKind;
use federation_proto::governed::LedgerPin;
use federation_proto::{Digest, FederatedEpoch, Name};
use governance::machine::Phase;
use governance::participant::ParticipantInput;
use governance::wire::Frame;

use crate::fixture::net::Net;
use crate::fixture::update::{blob_of, update_on};
use crate::fixture::{GOVERNORS, SITES, VALIDATORS, World, name, site, validator};

/// Everybody joins, and submits one update when the first epoch is open.
fn submitted(mut net: Net, world: &World) -> Net {
    for index in 0..SITES {
        net.site(index, ParticipantInput::Join { nonce: [index as u8; 32] });
    }
    let open = |net: &Net| {
        net.sites.iter().all(|site| {
            site.membership().is_some() && site.follower().executor().state().epoch().get() == 1
        })
    };
    net.run_until("the first epoch opens", open);
    for index in 0..SITES {
        let update = update_on(net.sites[index].follower().executor(), index + 1, 1);
        let blob = blob_of(&world.context(), index + 1, &update);
        net.site(index, ParticipantInput::Submit(blob));
    }
    net
}

/// Runs until everybody has applied the first epoch.
fn first_epoch(net: Net, world: &World) -> Net {
    applied(submitted(net, world))
}

fn applied(mut net: Net) -> Net {
    net.run_until("the first epoch takes effect", |net| {
        let applied = |epoch: FederatedEpoch| epoch.get() >= 1;
        let validators = net.validators.iter().map(|validator| validator.executor());
        let sites = net.sites.iter().map(|site| site.follower().executor());
        let governors = net.governors.iter().map(|governor| governor.follower().executor());
        let mut all = validators.chain(sites).chain(governors);
        all.all(|executor| applied(executor.state().meta().federated_epoch()))
    });
    net
}

/// One ledger and one state everywhere: nobody was told, everybody executed.
fn assert_agreement(net: &Net) {
    let reference = net.validators[0].executor();
    let size = net.sites[0].follower().executor().ledger().head().height.get();
    let root = reference.log_root(size).expect("a root");
    let sites = net.sites.iter().map(|site| site.follower().executor());
    let governors = net.governors.iter().map(|governor| governor.follower().executor());
    let validators = net.validators.iter().map(|validator| validator.executor());
    for executor in validators.chain(sites).chain(governors) {
        assert_eq!(executor.state().meta(), reference.state().meta());
        assert_eq!(executor.state().note_head(), reference.state().note_head());
        let own = executor.ledger().head().height.get().min(size);
        assert_eq!(executor.log_root(own), reference.log_root(own));
    }
    assert_eq!(net.validators[1].executor().log_root(size), Some(root));
    assert_eq!(reference.state().accepted().len(), SITES);
    assert!(net.sites.iter().all(|site| !site.is_submitting()));
}

#[test]
fn a_federation_agrees_on_an_epoch() {
    let world = World::new();
    let net = first_epoch(Net::new(&world), &world);
    assert_agreement(&net);
    // Every follower has f+1 servers for every batch.
    let followers = (1..=SITES).map(site).chain(GOVERNORS.map(str::to_owned));
    for follower in followers {
        let servers = net.sent.iter().filter(|(_, to, frame)| {
            to.as_str() == follower
                && matches!(frame, Frame::Ordered(ordered) if ordered.sequence.get() == 1)
        });
        assert_eq!(servers.count(), 2, "{follower}");
    }
}

/// Site 1's update never reaches the last validator.
fn loses_an_update(from: &Name, to: &Name, frame: &Frame) -> bool {
    let Frame::Envelope(envelope) = frame else { return false };
    envelope.claimed().kind == PayloadKind::MetaUpdate
        && *from == name(&site(1))
        && *to == name(&validator(VALIDATORS - 1))
}

#[test]
fn a_validator_that_missed_an_update_fetches_it_from_the_others() {
    let world = World::new();
    let net = first_epoch(Net::losing(&world, loses_an_update), &world);
    assert_agreement(&net);
    let last = name(&validator(VALIDATORS - 1));
    let asked = net
        .sent
        .iter()
        .any(|(from, _, frame)| *from == last && matches!(frame, Frame::BlobRequest { .. }));
    assert!(asked);
    let stored = net.validators.iter().map(|validator| validator.blobs());
    assert!(stored.clone().all(|blobs| blobs == net.validators[0].blobs()));
    assert_eq!(net.validators[0].blobs().len(), SITES);
}

fn loses_approvals(_: &Name, _: &Name, frame: &Frame) -> bool {
    matches!(frame, Frame::Approval { .. })
}

#[test]
fn governors_that_sign_nonsense_hold_an_epoch_and_do_not_stop_the_ledger() {
    let mut world = World::new();
    let mut net = submitted(Net::losing(&world, loses_approvals), &world);
    net.run_until("the aggregate is decided", |net| {
        let states = net.validators.iter().map(|validator| validator.executor().state());
        states.into_iter().all(|state| matches!(state.phase(), Phase::Aggregated { .. }))
    });
    world.executor = net.validators[0].executor().clone();
    let approve = |net: &mut Net, signoff: &ApplySignoff| {
        for governor in &GOVERNORS[..2] {
            let endorsement = world.approval(signoff, governor);
            let signoff = Box::new(signoff.clone());
            net.tell_validators(&Frame::Approval { signoff, endorsement });
        }
    };
    let good = world.signoff();
    let pin = LedgerPin { previous_note: Digest::ZERO, ..good.pin };
    let nonsense = ApplySignoff { pin, ..good.clone() };
    approve(&mut net, &nonsense);
    let proposed = |net: &Net| net.refusals.iter().any(|refusal| refusal.contains("proposal"));
    net.run_until("a turn passes", |_| true);
    assert!(!proposed(&net), "{:?}", net.refusals);
    // They come to their senses: their last word counts.
    approve(&mut net, &good);
    assert_agreement(&applied(net));
}

/// One governor and one server of everybody are silent.
fn loses_a_governor_and_a_server(from: &Name, _: &Name, frame: &Frame) -> bool {
    let serving = matches!(frame, Frame::Ordered(_) | Frame::Checkpoint(_));
    *from == name("governor-b") || (serving && *from == name(&validator(2)))
}

#[test]
fn one_silent_governor_and_one_silent_server_hold_nobody_up() {
    let world = World::new();
    let net = first_epoch(Net::losing(&world, loses_a_governor_and_a_server), &world);
    assert_agreement(&net);
}
