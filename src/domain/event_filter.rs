//! Which events somebody wants to hear of.

use super::{
    Actor, Comparator, Event, EventKind, FilterFault, InvitationId, OrganizationId, Restriction, Username, set_once,
};

/// What each field may be; `None`: anything. The default lets every event pass, also one of a kind that only a newer
/// version knows.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct EventFilter {
    kinds: Option<Vec<EventKind>>,
    invitations: Option<Vec<InvitationId>>,
    members: Option<Vec<Username>>,
    actors: Option<Vec<Actor>>,
}

impl EventFilter {
    /// Reads a filter of the events of that organization.
    pub fn read(restrictions: &[Restriction], organization: &OrganizationId) -> Result<Self, FilterFault> {
        let mut filter = Self::default();
        let child = |name: &str, collection: &str| {
            let rest = name.strip_prefix(&organization.name())?;
            rest.strip_prefix(collection).map(str::to_owned)
        };
        for restriction in restrictions {
            let equals = Comparator::Equals;
            match restriction.path()[..] {
                ["kind"] => {
                    let kinds = restriction.one_of(equals, "a kind of event such as INVITED", EventKind::parse)?;
                    set_once(&mut filter.kinds, kinds, restriction)?;
                }
                ["invitation"] => {
                    let rule = "the name of an invitation of the organization in parent";
                    let parse = |name: &str| InvitationId::parse(&child(name, "/invitations/")?);
                    set_once(&mut filter.invitations, restriction.parsed(equals, rule, parse)?, restriction)?;
                }
                ["member"] => {
                    let rule = "the name of a member of the organization in parent";
                    let parse = |name: &str| Username::parse(&child(name, "/members/")?);
                    set_once(&mut filter.members, restriction.parsed(equals, rule, parse)?, restriction)?;
                }
                ["actor"] => {
                    let rule = "an actor such as accounts/ada or services/k8s/gateway";
                    let parse =
                        |name: &str| Some(Actor::stored(name)).filter(|actor| !matches!(actor, Actor::Newer(_)));
                    set_once(&mut filter.actors, restriction.parsed(equals, rule, parse)?, restriction)?;
                }
                _ => return Err(restriction.unknown("one of kind, invitation, member, actor")),
            }
        }
        Ok(filter)
    }

    /// Whether the event is wanted.
    pub fn passes(&self, event: &Event) -> bool {
        is_among(self.kinds.as_deref(), event.kind.as_ref())
            && is_among(self.invitations.as_deref(), event.invitation.as_ref())
            && is_among(self.members.as_deref(), event.member.as_ref())
            && is_among(self.actors.as_deref(), event.actor.as_ref())
    }
}

fn is_among<T: PartialEq>(wanted: Option<&[T]>, value: Option<&T>) -> bool {
    wanted.is_none_or(|wanted| value.is_some_and(|value| wanted.contains(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Timestamp, parse_filter};

    fn read(text: &str) -> Result<EventFilter, String> {
        let acme = OrganizationId::parse("acme").unwrap();
        let filter = parse_filter(text).and_then(|all| EventFilter::read(&all, &acme));
        filter.map_err(|fault| fault.to_string())
    }

    fn event(kind: Option<EventKind>) -> Event {
        Event {
            position: 1,
            kind,
            actor: Some(Actor::stored("accounts/ada")),
            invitation: InvitationId::parse("0192e4a0-0000-7000-8000-000000000001"),
            member: None,
            changes: Vec::new(),
            create_time: Timestamp::UNIX_EPOCH,
            request_id: None,
        }
    }

    #[test]
    fn every_field_has_to_fit_and_one_of_its_values() {
        let invited = event(Some(EventKind::Invited));
        let id = "0192e4a0-0000-7000-8000-000000000001";
        for (filter, passes) in [
            ("kind = INVITED", true),
            ("kind = REVOKED", false),
            ("kind = REVOKED OR kind = INVITED", true),
            ("kind = (REVOKED OR INVITED) AND actor = \"accounts/ada\"", true),
            ("kind = INVITED AND actor = \"accounts/bob\"", false),
            ("actor = \"services/k8s/gateway\"", false),
            ("member = \"organizations/acme/members/ada\"", false),
            (&format!("invitation = \"organizations/acme/invitations/{id}\""), true),
        ] {
            assert_eq!(read(filter).unwrap().passes(&invited), passes, "{filter}");
        }
        assert!(EventFilter::default().passes(&invited));
    }

    #[test]
    fn a_kind_that_only_a_newer_version_knows_passes_where_no_kind_is_asked_for() {
        let newer = event(None);
        assert!(EventFilter::default().passes(&newer) && read("actor = \"accounts/ada\"").unwrap().passes(&newer));
        assert!(!read("kind = INVITED").unwrap().passes(&newer));
    }

    #[test]
    fn what_is_no_event_of_the_organization_is_refused_and_said_where() {
        let id = "0192e4a0-0000-7000-8000-000000000001";
        for (filter, words) in [
            ("state = INVITED", "one of kind, invitation, member, actor at character 1"),
            ("kind = NOTHING", "a kind of event such as INVITED at character 8"),
            ("kind > INVITED", "the comparator ="),
            ("kind = INVITED AND kind = REVOKED", "the same field once more"),
            (&format!("invitation = \"organizations/beta/invitations/{id}\""), "of the organization in parent"),
            ("member = \"organizations/acme2/members/ada\"", "of the organization in parent"),
            ("actor = \"groups/staff\"", "an actor such as"),
        ] {
            let fault = read(filter).unwrap_err();
            assert!(fault.contains(words) && fault.chars().count() <= 100, "{filter}: {fault}");
        }
    }
}
