//! Both sides' values of one cell, laid out alike.

use std::borrow::Cow;

use super::Focus;
use crate::trace::Tensor;

/// What both sides have of the cell. Where only their fastest axes differ (attention scores padded
/// to more positions, a padded vocabulary), both are cut to the narrower one, so that a channel is
/// the same value on both sides.
pub fn aligned(focus: &Focus) -> (Option<Cow<'_, Tensor>>, Option<Cow<'_, Tensor>>) {
    alike(focus.reference.as_ref(), focus.candidate.as_ref())
}

/// The same for any two tensors of one cell.
pub fn alike<'a>(
    reference: Option<&'a Tensor>,
    candidate: Option<&'a Tensor>,
) -> (Option<Cow<'a, Tensor>>, Option<Cow<'a, Tensor>>) {
    let (Some(a), Some(b)) = (reference, candidate) else {
        return (reference.map(Cow::Borrowed), candidate.map(Cow::Borrowed));
    };
    let width = |t: &Tensor| t.shape.first().map_or(0, |&n| n as usize);
    let rows = |t: &Tensor| t.shape.iter().skip(1).map(|&n| u64::from(n)).product::<u64>();
    let (wide_a, wide_b) = (width(a), width(b));
    if wide_a == wide_b || rows(a) != rows(b) || wide_a.min(wide_b) == 0 {
        return (Some(Cow::Borrowed(a)), Some(Cow::Borrowed(b)));
    }
    let narrow = wide_a.min(wide_b);
    (Some(cut(a, wide_a, narrow)), Some(cut(b, wide_b, narrow)))
}

fn cut(tensor: &Tensor, wide: usize, narrow: usize) -> Cow<'_, Tensor> {
    if wide == narrow {
        return Cow::Borrowed(tensor);
    }
    let values = tensor.values.chunks(wide).flat_map(|row| &row[..narrow.min(row.len())]).copied().collect();
    let mut shape = tensor.shape.clone();
    shape[0] = narrow as u32;
    Cow::Owned(Tensor { shape, values, exact: tensor.exact })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Checkpoint;
    use crate::session::Wanted;

    #[test]
    fn padding_is_cut_row_by_row() {
        let tensor = |shape: &[u32], values: &[f32]| {
            Some(Tensor { shape: shape.to_vec(), values: values.to_vec(), exact: true })
        };
        let mut focus = Focus {
            reference: tensor(&[4, 1, 2], &[1.0, 2.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0]),
            candidate: tensor(&[2, 2], &[1.0, 2.0, 3.0, 4.0]),
            ..Focus::new(Wanted::cell(0, Checkpoint::LOGITS))
        };
        let (a, b) = aligned(&focus);
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!((&a.values, &a.shape), (&vec![1.0, 2.0, 3.0, 4.0], &vec![2, 1, 2]));
        assert_eq!(b.values, a.values);
        focus.candidate = tensor(&[3, 3], &[0.0; 9]);
        let (a, _) = aligned(&focus);
        assert_eq!(a.unwrap().shape, [4, 1, 2], "tensors of other shapes stay as they are");
    }
}
