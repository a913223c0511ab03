//! Pages of lists, cut so that no answer is larger than its callers may leave unread in our memory.

use prost::Message;

use crate::app::Page;

/// The most bytes of an answer; `max_untaken_answers` says how many of them wait at a time.
const ANSWER_BYTES: usize = 256 * 1024;
/// Kept for what is in an answer beside the items: the token, and gRPC's frame.
const REST_BYTES: usize = 1024;

/// The items of a page, as many as fit, and where the next page begins; `None`: this is the last. One fits always: none
/// is larger than some 120 KiB (an organization with the longest policy, which another one waits to replace).
pub fn encode<T, C, M: Message>(page: Page<T, C>, encode: impl Fn(T) -> M) -> (Vec<M>, Option<C>) {
    let (count, mut left) = (page.items.len(), ANSWER_BYTES - REST_BYTES);
    let (mut items, mut last) = (Vec::with_capacity(count), None);
    for (cursor, item) in page.items {
        let item = encode(item);
        // with its tag and length
        let size = 1 + prost::length_delimiter_len(item.encoded_len()) + item.encoded_len();
        if size > left && !items.is_empty() {
            break;
        }
        left = left.saturating_sub(size);
        items.push(item);
        last = Some(cursor);
    }
    let next = if items.len() == count { page.next } else { last };
    (items, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb;

    fn page(items: i32, bytes: usize, has_more: bool) -> (Vec<pb::Member>, Option<i32>) {
        let page =
            Page { items: (0..items).map(|n| (n, "x".repeat(bytes))).collect(), next: has_more.then_some(items - 1) };
        encode(page, |name| pb::Member { name, ..pb::Member::default() })
    }

    #[test]
    fn what_fits_is_one_page() {
        assert_eq!((page(3, 10, false).0.len(), page(3, 10, false).1), (3, None));
        assert_eq!((page(3, 10, true).0.len(), page(3, 10, true).1), (3, Some(2)));
        assert_eq!((page(0, 10, false).0.len(), page(0, 10, false).1), (0, None));
    }

    #[test]
    fn what_does_not_fit_begins_the_next_page() {
        for bytes in [1300, 10_000, 60_000, 250_000] {
            let (members, next) = page(200, bytes, false);
            assert_eq!(next, i32::try_from(members.len()).ok().map(|count| count - 1));
            let answer = pb::ListMembersResponse { members, next_page_token: "x".repeat(200) };
            let size = answer.encoded_len();
            assert!(size <= ANSWER_BYTES && size + bytes + 1024 > ANSWER_BYTES, "{bytes}: {size}");
        }
        // one more than nothing, so that a caller gets on
        assert_eq!(page(2, 300_000, false).0.len(), 1);
    }
}
