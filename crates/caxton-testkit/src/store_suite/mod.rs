//! The conformance suite of the `Store` port: what every store must do, whatever it is made of. The
//! engine relies on each line of it.
//!
//! [`store_suite!`] makes a test of each case for one store. It is a macro so that a failing case
//! has its own name in the test report, for every adapter, without the list being repeated.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod build;
pub mod deliveries;
pub mod documents;
pub mod fences;
pub mod keys;
pub mod lists;
pub mod records;
pub mod retention;
pub mod tenants;
pub mod walls;

use caxton_engine::port::Store;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

type Open = Box<dyn Fn() -> Arc<dyn Store> + Send + Sync>;

/// A store under test, on data that outlives it.
pub struct Subject {
    open: Open,
    /// What the data needs to live: a temporary folder.
    _data: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject")
    }
}

impl Subject {
    /// `open` opens the store, each time on the same data.
    pub fn new(
        data: impl Any + Send + Sync,
        open: impl Fn() -> Arc<dyn Store> + Send + Sync + 'static,
    ) -> Self {
        Self {
            open: Box::new(open),
            _data: Box::new(data),
        }
    }

    pub fn open(&self) -> Arc<dyn Store> {
        (self.open)()
    }
}

/// Makes a test of every case. `$subject` is an expression that makes a fresh [`Subject`].
#[macro_export]
macro_rules! store_suite {
    ($subject:expr) => {
        $crate::store_suite!(@cases $subject,
            deliveries: [
                pending_in_the_order_accepted,
                a_known_message_changes_nothing,
                one_message_in_many_mailboxes,
                acknowledged_messages_leave,
                attempts_are_kept,
                operations_on_what_is_not_there_do_nothing,
                units_of_one_task_keep_their_order,
                everything_is_there_after_a_restart,
            ],
            keys: [
                state_is_per_mailbox_and_key,
                state_keys_page_by_prefix,
                timers_are_replaced_and_removed,
                a_call_stays_as_it_began,
                calls_are_forgotten_together,
            ],
            documents: [
                records_are_replaced_listed_and_removed,
                a_log_is_appended_read_and_trimmed,
                an_entry_is_never_written_over,
                the_platform_is_no_tenant_of_the_list,
            ],
            records: [
                agents_are_replaced_and_listed,
                a_removed_agent_takes_its_data_along,
                artifacts_are_kept_once,
                every_part_of_a_message_is_kept,
            ],
            lists: [
                messages_newest_first,
                messages_of_a_conversation_oldest_first,
                messages_of_a_trace_oldest_first,
                messages_of_an_agent,
                filters_together,
                conversations_are_folds,
                conversations_by_activity,
                dead_letters_bury_and_list,
                a_letter_without_a_record_is_recorded,
                forged_tokens_are_refused,
            ],
            fences: [
                an_older_epoch_is_refused,
                a_unit_is_all_or_nothing,
                a_foreign_unit_fails_alone,
                many_tasks_at_once,
            ],
            walls: [
                the_same_ids_in_two_tenants,
                a_scope_reads_only_its_own,
                an_unknown_tenant_is_empty,
                removing_touches_one_tenant,
            ],
            retention: [
                old_handled_messages_are_forgotten,
                what_is_needed_is_kept,
                conversations_without_messages_are_forgotten,
                what_was_said_in_a_conversation_is_forgotten,
                status_counts_units,
            ],
            tenants: [
                a_removed_tenant_is_gone_and_may_begin_anew,
                a_tenant_moves_there_and_back,
                a_place_may_be_given_before_there_is_data,
                units_in_flight_survive_a_move,
                the_platform_is_neither_moved_nor_removed,
            ],
        );
    };
    (@cases $subject:expr, $($module:ident: [$($case:ident,)*],)*) => {
        $(mod $module {
            $(#[tokio::test]
            async fn $case() {
                $crate::store_suite::$module::$case($subject).await;
            })*
        })*
    };
}
