//! Pages of lists.

use std::future::Future;

use caxton_core::error::Error;
use caxton_engine::port::store::{PAGE_ROWS_MAX, Page, PageRequest};

/// Rows on a page where the request does not say.
const PAGE_ROWS: u32 = 100;
/// Rows that are looked at for one page of a filtered list; past it the page ends, and its token
/// goes on from there.
const SCAN_ROWS_MAX: u32 = 10_000;

/// `pageSize` as it is meant: 0 is the default, and more than the maximum is the maximum.
pub(super) fn rows(page_size: u32) -> u32 {
    match page_size {
        0 => PAGE_ROWS,
        size => size.min(PAGE_ROWS_MAX),
    }
}

/// A request's page.
pub(super) fn request(page_size: u32, page_token: &str) -> PageRequest {
    PageRequest {
        rows_max: rows(page_size),
        token: (!page_token.is_empty()).then(|| page_token.to_owned()),
    }
}

/// A page of what a filter lets through of a list that cannot filter. It may be short, and even
/// empty, with a token: the list is long and few of its rows pass.
pub(super) async fn filtered<T, Fut>(
    mut page: PageRequest,
    read: impl Fn(PageRequest) -> Fut,
    passes: impl Fn(&T) -> bool,
) -> Result<Page<T>, Error>
where
    Fut: Future<Output = Result<Page<T>, Error>>,
{
    let mut rows = Vec::new();
    let mut looked_at = 0;
    let wanted = page.rows_max as usize;
    loop {
        // Never more than still fit, so that the token stands right after the last row given.
        page.rows_max = u32::try_from(wanted - rows.len()).unwrap_or(1);
        looked_at += page.rows_max;
        let found = read(page.clone()).await?;
        rows.extend(found.rows.into_iter().filter(&passes));
        page.token = found.next;
        let full = rows.len() >= wanted || looked_at >= SCAN_ROWS_MAX;
        if full || page.token.is_none() {
            return Ok(Page {
                rows,
                next: page.token,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A list of the numbers below `len`, read by a token that is the next number.
    fn read(len: u32) -> impl Fn(PageRequest) -> std::future::Ready<Result<Page<u32>, Error>> {
        move |page| {
            let from: u32 = page.token.map_or(0, |token| token.parse().unwrap());
            let to = (from + page.rows_max).min(len);
            std::future::ready(Ok(Page {
                rows: (from..to).collect(),
                next: (to < len).then(|| to.to_string()),
            }))
        }
    }

    #[tokio::test]
    async fn a_filtered_list_loses_and_repeats_nothing() {
        let mut token = String::new();
        let mut seen = Vec::new();
        loop {
            let page = filtered(request(7, &token), read(100), |n| n % 3 == 0).await;
            let page = page.unwrap();
            assert!(page.rows.len() <= 7);
            seen.extend(page.rows);
            match page.next {
                Some(next) => token = next,
                None => break,
            }
        }
        let expected: Vec<u32> = (0..100).filter(|n| n % 3 == 0).collect();
        assert_eq!(seen, expected);
    }

    #[tokio::test]
    async fn a_page_of_a_long_list_ends_though_nothing_passes() {
        let page = filtered(request(100, ""), read(1_000_000), |_| false).await;
        let page = page.unwrap();
        assert_eq!(page.rows, Vec::<u32>::new());
        assert_eq!(page.next, Some(SCAN_ROWS_MAX.to_string()));
    }

    #[test]
    fn sizes_have_a_default_and_a_maximum() {
        assert_eq!(
            [rows(0), rows(1), rows(5000)],
            [PAGE_ROWS, 1, PAGE_ROWS_MAX]
        );
    }
}
