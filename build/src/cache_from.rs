//! `--cache-from`: build cache from the histories of images that were built elsewhere.

use images::Image;
use images::steps::{StepLayer, StepResult};

use super::stage::StageState;

/// What a step led to in one of these images, if that stands on the same layers and came by the same steps.
pub(super) fn find(images: &[Image], state: &StageState, created_by: &str) -> Option<StepResult> {
    images.iter().find_map(|image| in_image(image, state, created_by))
}

fn in_image(image: &Image, state: &StageState, created_by: &str) -> Option<StepResult> {
    let (before, diff_ids) = (state.history(), state.diff_ids());
    let steps = &image.config.history;
    let is_same = steps
        .get(..before.len())?
        .iter()
        .zip(before)
        .all(|(theirs, ours)| theirs.created_by == ours.created_by && theirs.empty_layer == ours.empty_layer);
    let step = steps.get(before.len()).filter(|step| is_same && step.created_by == created_by)?;
    let theirs = &image.config.rootfs.diff_ids;
    if theirs.get(..diff_ids.len())? != diff_ids {
        return None;
    }
    let layer = match step.empty_layer {
        true => None,
        false => {
            Some(StepLayer { chain_id: *image.layers.get(diff_ids.len())?, diff_id: *theirs.get(diff_ids.len())? })
        }
    };
    Some(StepResult { layer, created: step.created? })
}
