//! `dancu event`: a life event, for everybody it concerns or for nobody.

use std::process::ExitCode;

use super::{Submit, argument, malformed};
use crate::cli::Failure;
use crate::cli::json::{self, Texts as _};
use crate::cli::output::Output;
use crate::proto::registry::Event;

/// One of each kind, as it is written.
const EXAMPLES: &str = r#"The event as JSON, under the name of its kind. People are named by personal_id, person_uid, old_id_number or credential:

  {"birth": {"child": {"birth_name": {"family": "Nguyễn", "given": "An"}, "birth_date": "2026-01-31", "gender": "male"},
             "new_personal_id": {"place_code": "001"}, "mother": {"personal_id": "001190000001"}}}
  {"death": {"person": {"personal_id": "001190000001"}, "on": "2026-01-31"}}
  {"marriage": {"one": {"person_uid": 7}, "other": {"person_uid": 8}, "on": "2026-01-31"}}
  {"divorce": {"one": {"person_uid": 7}, "other": {"person_uid": 8}, "on": "2026-01-31"}}
  {"move": {"movers": [{"person": {"person_uid": 7}, "household_role": "head"}], "kind": "permanent",
            "to": {"unit_code": "00004", "unit_edition": "v34", "detail": "Số 1"}, "residence_file_no": "HS001"}}
  {"correction": {"person": {"person_uid": 7}, "birth_date": "1991-05-17", "new_personal_id": {"place_code": "001"}}}
  {"adoption": {"child": {"person_uid": 9}, "mother": {"person_uid": 7}}}

"source" beside it says where it is recorded: {"death": {...}, "source": {"document": "TLKT 12/2026", "agency": "G15"}}"#;

/// What happened.
#[derive(clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    submit: Submit,
    /// The event as JSON, @FILE to read it from a file, or - for standard input; see the examples in --help
    event: String,
}

/// Commits it.
///
/// # Errors
/// See [`Failure`]; negative when it contradicts what the register holds.
pub async fn run(args: Args, output: &Output) -> Result<ExitCode, Failure> {
    let text = argument(&args.event)?;
    let mut event: json::Event = json::read(text.as_bytes()).map_err(|e| malformed(&e))?;
    event.normalise();
    let event = Event::try_from(event).map_err(|e| malformed(&e))?;
    args.submit.run(output, async |client, context| client.commit_event(context, event).await).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_are_events() {
        let mut kinds = 0;
        // Each begins in a column of its own and goes on further in.
        for example in EXAMPLES.split("\n  {").skip(1) {
            let text = format!("{{{}", example.split("\n\n").next().unwrap());
            let event: json::Event = json::read(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            assert!(Event::try_from(event).is_ok(), "{text}");
            kinds += 1;
        }
        assert_eq!(kinds, 7);
    }
}
