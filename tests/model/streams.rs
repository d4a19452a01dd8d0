//! Generates sequences of HTTP/2 frames.

use proptest::prelude::*;
use proptest::sample::select;

use crate::applications::Route;
use crate::frames::{Frame, PREFACE};
use crate::message::{pauses, settings};
use crate::sequence::{Sequence, Step, pause};

fn frames() -> impl Strategy<Value = Vec<Step>> {
    let stream = || select(vec![1u32, 3, 3, 5, 5, 7]);
    let method = select(vec!["GET", "POST", "HEAD"]);
    let frame = prop_oneof![
        4 => (stream(), method, select(&Route::ALL[..]), any::<bool>())
            .prop_map(|(stream, method, route, is_end)| vec![Frame::Headers(stream, method, route, is_end)]),
        4 => (stream(), select(vec![0usize, 1, 3, 300]), any::<bool>())
            .prop_map(|(stream, count, is_end)| vec![Frame::Data(stream, count, is_end)]),
        1 => (prop_oneof![Just(0), stream()], select(vec![1u32, 1000, 65_535]))
            .prop_map(|(stream, more)| vec![Frame::Window(stream, more)]),
        1 => select(vec![0u32, 10, 65_535]).prop_map(|window| vec![Frame::Settings(window)]),
        1 => stream().prop_map(|stream| vec![Frame::Reset(stream)]),
        1 => Just(vec![Frame::GoAway]),
        1 => Just(vec![Frame::Unknown(0)]),
        1 => Just(vec![Frame::Ping]),
    ];
    let frames = (frame, pauses()).prop_map(|(frames, time)| {
        let steps = frames.into_iter().map(|frame| Step::Send2(0, frame));
        steps.chain((time > 0).then(|| pause(time))).collect()
    });
    let pings = select(vec![3usize, 160, 300])
        .prop_map(|count| vec![vec![Step::Send2(0, Frame::Ping), pause(500)]; count].concat());
    let others = select(vec![Step::End(0), Step::Reset(0), Step::Stall(0), Step::Read(0), Step::Stop]);
    prop_oneof![24 => frames, 1 => pings, 1 => others.prop_map(|step| vec![step, pause(1)])]
}

/// Generated sequences of frames.
pub(crate) fn sequences() -> impl Strategy<Value = Sequence> {
    let start = (0..=PREFACE.len(), pauses(), select(vec![0u32, 10, 65_535, 65_535, 65_535, 1 << 20]), 0..24u8);
    (settings(), start, prop::collection::vec(frames(), 0..10)).prop_map(|(settings, start, frames)| {
        let (cut, time, window, breaks) = start;
        let mut steps = vec![Step::Send2(0, Frame::Preface(0, cut))];
        steps.extend((time > 0).then(|| pause(time)));
        if breaks > 0 {
            steps.push(Step::Send2(0, Frame::Preface(cut, PREFACE.len())));
            steps.push(Step::Send2(0, Frame::Settings(window)));
            steps.push(Step::Send2(0, Frame::SettingsAck));
        }
        steps.extend(frames.concat());
        Sequence { settings, steps }
    })
}
