//! What a node answers to a peer. A question is data from outside: it is checked against the size
//! of our log before anything is read, and an answer has its limits whatever was asked for.

use federation_proto::Height;
use federation_proto::codec::Canonical;

use super::OwnLog;
use super::messages::{
    Answer, BlockBytes, BlocksAnswer, BlocksRequest, HeaderAnswer, HeaderQuestion, MAX_BLOCK_BYTES,
    MAX_BLOCKS, Question, Refusal, RootQuestion,
};
use crate::block::BlockFile;
use crate::chain::log_index;
use crate::merkle::subtrees::{self, Subtrees};

/// The answer to a peer's question. `block` gives a block of ours, or none where it is not kept.
///
/// What is wrong with the question is an [`Answer::Refused`].
///
/// # Errors
/// Our own store failed. That is nothing to tell a peer but [`Refusal::NotKept`].
pub fn answer<S, E>(
    own: &OwnLog<'_, S>,
    block: impl FnMut(Height) -> Result<Option<BlockFile>, E>,
    question: &Question,
) -> Result<Answer, E>
where
    S: Subtrees,
    E: From<S::Error>,
{
    let (sensible, of) = match *question {
        Question::Root(RootQuestion { size, of }) => (size <= of, of),
        Question::Header(HeaderQuestion { height, of }) => (within(height, of), of),
        Question::Blocks(BlocksRequest { first, count, of }) => {
            (within(first, of) && count > 0, of)
        }
    };
    if !sensible {
        return Ok(Answer::Refused(Refusal::Senseless));
    }
    if of > own.size() {
        return Ok(Answer::Refused(Refusal::Beyond { size: own.size() }));
    }
    match *question {
        Question::Root(RootQuestion { size, of }) => Ok(Answer::Root(own.prefix(size, of)?)),
        Question::Header(question) => header(own, block, question),
        Question::Blocks(request) => blocks(own, block, request),
    }
}

/// Whether a log of `size` blocks has one of this height.
fn within(height: Height, size: u64) -> bool {
    height != Height::ZERO && height.get() <= size
}

fn header<S, E>(
    own: &OwnLog<'_, S>,
    mut block: impl FnMut(Height) -> Result<Option<BlockFile>, E>,
    HeaderQuestion { height, of }: HeaderQuestion,
) -> Result<Answer, E>
where
    S: Subtrees,
    E: From<S::Error>,
{
    let Some(block) = block(height)? else {
        return Ok(Answer::Refused(Refusal::NotKept));
    };
    let path = subtrees::inclusion(own.subtrees, log_index(height), of)?;
    Ok(Answer::Header(Box::new(HeaderAnswer { header: block.header, path })))
}

fn blocks<S, E>(
    own: &OwnLog<'_, S>,
    mut block: impl FnMut(Height) -> Result<Option<BlockFile>, E>,
    BlocksRequest { first, count, of }: BlocksRequest,
) -> Result<Answer, E>
where
    S: Subtrees,
    E: From<S::Error>,
{
    let (mut blocks, mut bytes) = (Vec::new(), 0);
    for height in (first.get()..=of).take(MAX_BLOCKS.min(usize::from(count))) {
        let Some(block) = block(Height::new(height))? else { break };
        let Ok(block) = BlockBytes::new(block.to_canonical()) else { break };
        bytes += block.as_slice().len();
        if bytes > MAX_BLOCK_BYTES {
            break;
        }
        blocks.push(block);
    }
    if blocks.is_empty() {
        return Ok(Answer::Refused(Refusal::NotKept));
    }
    let end = log_index(first) + blocks.len() as u64;
    let proof = subtrees::consistency(own.subtrees, end, of)?;
    Ok(Answer::Blocks(BlocksAnswer { blocks, proof }))
}
