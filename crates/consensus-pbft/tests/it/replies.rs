//! What a driver tells a client follows from effects and from the batches that its application executed.

use consensus_pbft::{CheckpointCertificate, CommitCertificate};
use federation_proto::SequenceNumber;

use crate::toy::numbers;
use crate::world::World;

#[test]
fn a_client_learns_where_its_request_was_decided_with_proofs_that_stand_alone() {
    let mut world = World::of_depth(4, 4);
    world.nodes[0].app.batch_size = 1;
    for number in 0..8 {
        world.request(number);
    }
    world.run();
    let context = *world.committee.context();
    for node in &world.nodes {
        for number in 0..8 {
            // The batch comes with `execute`, its place and proof with `Committed`, in that order.
            let (sequence, batch, _) = node
                .app
                .history
                .iter()
                .find(|(_, batch, _)| numbers(batch).contains(&number))
                .expect("it was executed");
            let of_place = |(at, _): &&(SequenceNumber, CommitCertificate)| at == sequence;
            let mut committed = node.committed.iter().filter(of_place);
            let (_, order) = committed.next().expect("it was committed");
            assert_eq!(committed.count(), 0, "once");
            assert_eq!(order.verify(&world.committee), Ok(()));
            assert_eq!(order.digest, batch.digest(&context, *sequence));
            // The first stable checkpoint at or above it proves the result.
            let covers = |c: &&CheckpointCertificate| c.statement.sequence >= *sequence;
            let result = node.stable.iter().find(covers).expect("a checkpoint every second batch");
            assert_eq!(result.verify(&world.committee), Ok(()));
        }
    }
}
