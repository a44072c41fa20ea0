//! A list that mostly holds one thing, in two words. Pure.

/// See the module's header.
#[derive(Debug, Clone)]
pub(super) enum Few<T> {
    /// Exactly one, without an allocation.
    One(T),
    /// Any other number. In a box, so that the common case stays small.
    #[expect(clippy::box_collection, reason = "a vector is three words")]
    Many(Box<Vec<T>>),
}

impl<T> Few<T> {
    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        match self {
            Self::One(one) => std::slice::from_mut(one),
            Self::Many(many) => many,
        }
    }

    pub(super) fn push(&mut self, new: T) {
        let mut all = std::mem::replace(self, Self::Many(Box::default())).into_vec();
        all.push(new);
        *self = all.into();
    }

    pub(super) fn retain(&mut self, wanted: impl FnMut(&T) -> bool) {
        let mut all = std::mem::replace(self, Self::Many(Box::default())).into_vec();
        all.retain(wanted);
        *self = all.into();
    }

    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => *many,
        }
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(mut all: Vec<T>) -> Self {
        match (all.len(), all.pop()) {
            (1, Some(one)) => Self::One(one),
            (_, last) => {
                all.extend(last);
                Self::Many(Box::new(all))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_list_it_was_made_of_and_small() {
        for count in 0..4 {
            let mut few = Few::from((0..count).collect::<Vec<u64>>());
            assert_eq!(few.as_slice(), (0..count).collect::<Vec<u64>>());
            few.push(9);
            few.retain(|one| *one != 1);
            let left: Vec<u64> = (0..count).filter(|one| *one != 1).chain([9]).collect();
            assert_eq!((few.as_mut_slice().len(), few.into_vec()), (left.len(), left));
        }
        assert_eq!(size_of::<Few<std::rc::Rc<u8>>>(), 16);
    }
}
