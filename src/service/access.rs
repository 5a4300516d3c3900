//! DataAccess: parts of a record, by field or by procedure, and households. What a part holds is `domain::access`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::lookup::Lookup;
use super::read::{Found, shown, valid_key};
use super::{Shared, status};
use crate::domain::access;
use crate::domain::command::Alias;
use crate::domain::policy::Licence;
use crate::proto::registry::data_access_server::DataAccess;
use crate::proto::registry::{
    HouseholdMember, HouseholdRole, ListAttributeSetsRequest, ListAttributeSetsResponse, Person, PersonField,
    ReadAttributeSetRequest, ReadAttributeSetResponse, ReadHouseholdRequest, ReadHouseholdResponse,
    ReadPersonAttributesRequest, ReadPersonAttributesResponse,
};

/// What is shown of the members of a household.
const MEMBER_FIELDS: [PersonField; 5] = [
    PersonField::ResidenceFileNo,
    PersonField::HouseholdRole,
    PersonField::BirthName,
    PersonField::PersonalId,
    PersonField::OldIdNumbers,
];

/// The service.
pub(super) struct Access {
    shared: Arc<Shared>,
}

impl Access {
    /// The service of this node.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[tonic::async_trait]
impl DataAccess for Access {
    async fn read_person_attributes(
        &self,
        request: Request<ReadPersonAttributesRequest>,
    ) -> Result<Response<ReadPersonAttributesResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { attributes(&call, asked).await };
        self.shared.lookup("DataAccess/ReadPersonAttributes", request, serve).await
    }

    async fn read_attribute_set(
        &self,
        request: Request<ReadAttributeSetRequest>,
    ) -> Result<Response<ReadAttributeSetResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { attribute_set(&call, asked).await };
        self.shared.lookup("DataAccess/ReadAttributeSet", request, serve).await
    }

    async fn list_attribute_sets(
        &self,
        request: Request<ListAttributeSetsRequest>,
    ) -> Result<Response<ListAttributeSetsResponse>, Status> {
        let call = self.shared.admit(&request)?;
        let in_use = call.policies().await?.policies().procedures().into_iter().filter(|it| !it.withdrawn);
        Ok(Response::new(ListAttributeSetsResponse { sets: in_use.map(access::attribute_set).collect() }))
    }

    async fn read_household(
        &self,
        request: Request<ReadHouseholdRequest>,
    ) -> Result<Response<ReadHouseholdResponse>, Status> {
        let serve = |call: Arc<Lookup>, asked| async move { household(&call, asked).await };
        self.shared.lookup("DataAccess/ReadHousehold", request, serve).await
    }
}

async fn attributes(
    call: &Lookup,
    request: ReadPersonAttributesRequest,
) -> Result<ReadPersonAttributesResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let key = valid_key(request.key, "key")?;
    let fields = access::fields(&request.fields).map_err(|rejection| status::rejected(&rejection))?;
    let need = |licence: &Licence| licence.may_read(&fields, "fields");
    let view = call.read(request.options.as_ref(), need).await?;
    let Found { person, resolution } = view.only(&key, "key")?;
    call.trail().limited_to(&fields);
    Ok(ReadPersonAttributesResponse {
        meta: Some(call.meta_of_read(&view, person.record_revision)),
        person: Some(shown(access::part(person, &fields), request.options.as_ref())),
        resolution: Some(resolution),
    })
}

async fn attribute_set(
    call: &Lookup,
    request: ReadAttributeSetRequest,
) -> Result<ReadAttributeSetResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let context = request.context.unwrap_or_default();
    let key = valid_key(request.key, "key")?;
    let view = call.read(request.options.as_ref(), |_| Ok(())).await?;
    let code = &context.procedure_code;
    let set = access::set_of(code, view.procedure(code)).map_err(|rejection| status::rejected(&rejection))?;
    let fields: Vec<PersonField> = set.fields().collect();
    view.licence()
        .may_read(&fields, "context.procedure_code")
        .map_err(|refused| status::rejected(&refused))?;
    let Found { person, resolution } = view.only(&key, "key")?;
    call.trail().limited_to(&fields);
    Ok(ReadAttributeSetResponse {
        meta: Some(call.meta_of_read(&view, person.record_revision)),
        set: Some(set),
        person: Some(shown(access::part(person, &fields), request.options.as_ref())),
        resolution: Some(resolution),
    })
}

async fn household(call: &Lookup, request: ReadHouseholdRequest) -> Result<ReadHouseholdResponse, Status> {
    call.identify_reader(request.context.as_ref())?;
    let key = valid_key(request.key, "key")?;
    let need = |licence: &Licence| licence.may_read(&MEMBER_FIELDS, "");
    let view = call.read(request.options.as_ref(), need).await?;
    let person = view.only(&key, "key")?.person;
    let meta = Some(call.meta_of_read(&view, person.record_revision));
    call.trail().limited_to(&MEMBER_FIELDS);
    let residence_file_no = person.residence_file_no;
    if residence_file_no.is_empty() {
        return Ok(ReadHouseholdResponse { meta, ..ReadHouseholdResponse::default() });
    }
    let alias = Alias::Household(residence_file_no.clone());
    let persons = call
        .run_batch(move || {
            // As many as a household may have.
            view.holders(&alias)
        })
        .await?;
    let mut members: Vec<_> = persons.into_iter().map(member).collect();
    // They come by uid, and the sort keeps that order among equals.
    members.sort_by_key(|member| member.role() != HouseholdRole::Head);
    Ok(ReadHouseholdResponse { meta, residence_file_no, members })
}

fn member(person: Person) -> HouseholdMember {
    HouseholdMember {
        person_uid: person.uid,
        role: person.household_role,
        birth_name: person.birth_name,
        personal_id: person.personal_id,
        old_id_numbers: person.old_id_numbers,
    }
}
