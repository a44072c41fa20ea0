#!/usr/bin/env python3
"""ChartMogul's official Python client against a sandbox.

    pip install --no-deps -r requirements/chartmogul.txt
    chartmogul_client.py BASE_URL API_KEY      (BASE_URL with its version, as http://127.0.0.1:8040/v1)

The client reads answers with schemas of its own, so an answer of the wrong shape raises. It knows nothing of this project,
which is the point: where it and the sandbox disagree, the sandbox is wrong. Everything it makes stands in data sources of its
own, which it removes. The client retries over https only, so this script keeps to the rate limit by itself.
"""

import sys
import time
import warnings

import chartmogul
from chartmogul import errors, resource

from checks import Checks, equal

RUN = str(time.time_ns())

# The client would rather have another path for notes; it still has this one, and this is the one that the sandbox answers.
warnings.filterwarnings("ignore", message="CustomerNote|Customer.notes|Customer.createNote", category=DeprecationWarning)

# A user and a pipeline that a sandbox has.
USER = "owner@example.com"
PIPELINE, STAGES = "New Business", ("Discovery", "Evaluation")

# Seconds between two requests: 33 a second, where 40 are allowed.
PACE = 0.03


def keep_to_the_rate(new_session):
    def paced(*args, **kwargs):
        time.sleep(PACE)
        return new_session(*args, **kwargs)

    return paced


# Every request of the client takes a new session from here.
resource.requests_retry_session = keep_to_the_rate(resource.requests_retry_session)


def refused(status, promise):
    """Expects an error of this status and gives its body."""
    try:
        value = promise.get()
    except errors.APIError as error:
        response = error.__cause__.response
        equal(response.status_code, status)
        return response.json()
    raise AssertionError(f"expected {status}, got {value!r}")


def listed(everything, **query):
    """All entries of a list, read by pages of two."""
    entries, cursor = [], {}
    while True:
        page = everything(per_page=2, **query, **cursor).get()
        entries += page.entries
        if not page.has_more:
            return entries
        cursor = {"cursor": page.cursor}


def notes(checks, config, customer):
    """Notes and call logs of a customer."""

    def everything(**query):
        return chartmogul.CustomerNote.all(config, customer_uuid=customer, **query)

    @checks.run
    def note_is_made_read_changed_and_removed():
        data = {"customer_uuid": customer, "type": "note", "text": "First", "author_email": USER}
        note = chartmogul.CustomerNote.create(config, data={**data, "created_at": "2024-02-29T10:00:00Z"}).get()
        assert note.uuid.startswith("note_"), note.uuid
        equal((note.customer_uuid, note.type, note.text, note.call_duration), (customer, "note", "First", 0))
        equal((note.author, note.created_at.isoformat()), (f"Owner ({USER})", "2024-02-29T10:00:00+00:00"))
        changed = chartmogul.CustomerNote.modify(config, uuid=note.uuid, data={"text": "Second"}).get()
        equal((changed.text, changed.created_at), ("Second", note.created_at))
        equal(chartmogul.CustomerNote.retrieve(config, uuid=note.uuid).get().text, "Second")
        chartmogul.CustomerNote.destroy(config, uuid=note.uuid).get()
        refused(404, chartmogul.CustomerNote.retrieve(config, uuid=note.uuid))

    @checks.run
    def notes_are_listed_newest_first_and_filtered():
        for number in range(3):
            chartmogul.Customer.createNote(config, uuid=customer, data={"type": "note", "text": str(number)}).get()
        data = {"customer_uuid": customer, "type": "call", "call_duration": 90}
        call = chartmogul.CustomerNote.create(config, data={**data, "text": "call"}).get()
        equal((call.type, call.call_duration), ("call", 90))
        equal([note.text for note in listed(everything)], ["call", "2", "1", "0"])
        equal([note.text for note in listed(everything, type="call")], ["call"])
        equal(len(listed(everything, author_email=USER)), 4)
        equal(listed(everything, author_email="stranger@nowhere.example"), [])
        equal(len(chartmogul.Customer.notes(config, uuid=customer).get().entries), 4)

    @checks.run
    def wrong_notes_are_refused():
        equal(refused(400, chartmogul.CustomerNote.create(config, data={"type": "note"}))["param"], "customer_uuid")
        data = {"customer_uuid": customer, "type": "letter", "author_email": "stranger@nowhere.example"}
        body = refused(422, chartmogul.CustomerNote.create(config, data=data))
        equal(sorted(body["errors"]), ["author_email", "type"])


def opportunities(checks, config, customer):
    """Opportunities of a customer."""

    needed = {
        "owner": USER,
        "pipeline": PIPELINE,
        "pipeline_stage": STAGES[0],
        "estimated_close_date": "2030-01-31",
        "currency": "EUR",
        "amount_in_cents": 125000,
    }

    def everything(**query):
        return chartmogul.Opportunity.all(config, customer_uuid=customer, **query)

    @checks.run
    def opportunity_is_made_read_changed_and_removed():
        data = {
            **needed,
            "customer_uuid": customer,
            "type": "one-time",
            "forecast_category": "best_case",
            "win_likelihood": 30,
            "custom": [{"key": "from_campaign", "value": True}, {"key": "undefined_key", "value": 1}],
        }
        made = chartmogul.Opportunity.create(config, data=data).get()
        equal((made.customer_uuid, made.owner, made.pipeline), (customer, USER, PIPELINE))
        equal((made.pipeline_stage, made.amount_in_cents, made.currency), (STAGES[0], 125000, "EUR"))
        equal((made.type, made.forecast_category, made.win_likelihood), ("one-time", "best_case", 30))
        equal((made.estimated_close_date.isoformat(), made.custom), ("2030-01-31", {"from_campaign": True}))
        change = {"pipeline_stage": STAGES[1], "win_likelihood": 80}
        changed = chartmogul.Opportunity.modify(config, uuid=made.uuid, data=change).get()
        equal((changed.pipeline_stage, changed.win_likelihood, changed.type), (STAGES[1], 80, "one-time"))
        read = chartmogul.Opportunity.retrieve(config, uuid=made.uuid).get()
        equal((read.pipeline_stage, read.updated_at), (STAGES[1], changed.updated_at))
        chartmogul.Opportunity.destroy(config, uuid=made.uuid).get()
        refused(404, chartmogul.Opportunity.retrieve(config, uuid=made.uuid))

    @checks.run
    def opportunities_are_listed_newest_first_and_filtered():
        for day in range(1, 4):
            data = {**needed, "estimated_close_date": f"2030-01-0{day}", "amount_in_cents": day}
            chartmogul.Customer.createOpportunity(config, uuid=customer, data=data).get()
        equal([one.amount_in_cents for one in listed(everything)], [3, 2, 1])
        equal([one.amount_in_cents for one in listed(everything, estimated_close_date_on_or_after="2030-01-02")], [3, 2])
        equal([one.amount_in_cents for one in listed(everything, estimated_close_date_on_or_before="2030-01-02")], [2, 1])
        equal(len(listed(everything, owner=USER, pipeline=PIPELINE, pipeline_stage=STAGES[0])), 3)
        equal(listed(everything, pipeline_stage=STAGES[1]), [])
        equal(len(chartmogul.Customer.opportunities(config, uuid=customer).get().entries), 3)

    @checks.run
    def wrong_opportunities_are_refused():
        body = refused(400, chartmogul.Opportunity.create(config, data={"customer_uuid": customer}))
        equal(body["param"], "owner")
        data = {**needed, "customer_uuid": customer, "pipeline_stage": "Nowhere"}
        equal(list(refused(422, chartmogul.Opportunity.create(config, data=data))["errors"]), ["pipeline_stage"])


def tasks(checks, config, customer):
    """Tasks of a customer."""

    needed = {"task_details": "Call", "assignee": USER, "due_date": "2030-01-31T00:00:00Z"}

    def everything(**query):
        return chartmogul.Task.all(config, customer_uuid=customer, **query)

    @checks.run
    def task_is_made_read_changed_and_removed():
        task = chartmogul.Task.create(config, data={**needed, "customer_uuid": customer}).get()
        equal((task.customer_uuid, task.task_details, task.assignee), (customer, "Call", USER))
        equal((task.due_date.isoformat(), task.completed_at), ("2030-01-31T00:00:00+00:00", None))
        change = {"completed_at": "2025-01-01T12:00:00Z"}
        changed = chartmogul.Task.modify(config, uuid=task.task_uuid, data=change).get()
        equal((changed.completed_at.isoformat(), changed.task_details), ("2025-01-01T12:00:00+00:00", "Call"))
        equal(chartmogul.Task.retrieve(config, uuid=task.task_uuid).get().completed_at, changed.completed_at)
        chartmogul.Task.destroy(config, uuid=task.task_uuid).get()
        refused(404, chartmogul.Task.retrieve(config, uuid=task.task_uuid))

    @checks.run
    def tasks_are_listed_newest_first_and_filtered():
        for day in range(1, 4):
            data = {**needed, "task_details": str(day), "due_date": f"2030-01-0{day}T00:00:00Z"}
            chartmogul.Customer.createTask(config, uuid=customer, data=data).get()
        equal([task.task_details for task in listed(everything)], ["3", "2", "1"])
        chartmogul.Task.modify(config, uuid=listed(everything)[0].task_uuid, data={"completed_at": "2025-01-01"}).get()
        equal([task.task_details for task in listed(everything, completed=True)], ["3"])
        equal([task.task_details for task in listed(everything, completed=False)], ["2", "1"])
        equal([task.task_details for task in listed(everything, due_date_on_or_after="2030-01-02")], ["3", "2"])
        equal([task.task_details for task in listed(everything, due_date_on_or_before="2030-01-02")], ["2", "1"])
        equal(listed(everything, assignee="second.owner@example.com"), [])
        equal(len(chartmogul.Customer.tasks(config, uuid=customer).get().entries), 3)

    @checks.run
    def wrong_tasks_are_refused():
        data = {**needed, "customer_uuid": customer, "assignee": "stranger@nowhere.example", "task_details": "x" * 256}
        body = refused(422, chartmogul.Task.create(config, data=data))
        equal(sorted(body["errors"]), ["assignee", "task_details"])
        refused(404, chartmogul.Task.create(config, data={**needed, "customer_uuid": "cus_unknown"}))


def main(base_url, api_key):
    config = chartmogul.Config(api_key, request_timeout=10, max_retries=0)
    config.uri = base_url.rstrip("/")
    checks = Checks()
    made = {}

    def customer(external_id, **fields):
        data = {"data_source_uuid": made["source"], "external_id": external_id, **fields}
        return chartmogul.Customer.create(config, data=data).get()

    @checks.run
    def ping_answers():
        equal(chartmogul.Ping.ping(config).get().data, "pong!")

    @checks.run
    def wrong_key_is_refused():
        stranger = chartmogul.Config("stranger", max_retries=0)
        stranger.uri = config.uri
        equal(refused(401, chartmogul.Ping.ping(stranger))["code"], 401)

    @checks.run
    def account_is_shown():
        account = chartmogul.Account.retrieve(config).get()
        equal(len(account.currency), 3)
        assert account.id.startswith("acc_")

    @checks.run
    def data_sources_are_made_found_and_unique():
        name = f"python client {RUN}"
        source = chartmogul.DataSource.create(config, data={"name": name}).get()
        made["source"] = source.uuid
        equal((source.name, source.system), (name, "Custom"))
        listed = chartmogul.DataSource.all(config, name=name).get().data_sources
        equal([one.uuid for one in listed], [source.uuid])
        equal(chartmogul.DataSource.retrieve(config, uuid=source.uuid).get().created_at, source.created_at)
        body = refused(422, chartmogul.DataSource.create(config, data={"name": name}))
        equal(body["errors"], {"name": "Has already been taken."})
        equal(refused(400, chartmogul.DataSource.create(config, data={}))["param"], "name")
        refused(404, chartmogul.DataSource.retrieve(config, uuid="ds_unknown"))

    @checks.run
    def data_source_flags_are_read():
        source = chartmogul.DataSource.retrieve(
            config,
            uuid=made["source"],
            with_processing_status=True,
            with_auto_churn_subscription_setting=True,
            with_invoice_handling_setting=True,
        ).get()
        equal(source.processing_status.failed, 0)
        equal(source.auto_churn_subscription_setting.enabled, False)
        equal(source.invoice_handling_setting, {})
        plain = chartmogul.DataSource.retrieve(config, uuid=made["source"]).get()
        equal(hasattr(plain, "processing_status"), False)

    @checks.run
    def data_sources_are_filtered_by_system():
        listed_uuids = [one.uuid for one in chartmogul.DataSource.all(config, system="Custom").get().data_sources]
        assert made["source"] in listed_uuids, listed_uuids
        equal(chartmogul.DataSource.all(config, system="custom", name=f"python client {RUN}").get().data_sources, [])

    @checks.run
    def customer_is_made_and_read():
        one = customer(
            "one",
            name="Ann Lee",
            email="ann@lee.example",
            company="Lee",
            country="US",
            state="US-NY",
            city="New York",
            zip="10001",
            lead_created_at="2016-01-01 14:30:00 UTC",
            website_url="https://lee.example",
            attributes={"tags": ["vip"], "custom": [{"type": "Integer", "key": "seats", "value": 3}]},
        )
        made["one"] = one.uuid
        read = chartmogul.Customer.retrieve(config, uuid=one.uuid).get()
        equal((read.name, read.external_id, read.status), ("Ann Lee", "one", "New Lead"))
        equal((read.address.country, read.address.state, read.address.address_zip), ("United States", "New York", "10001"))
        equal(read.lead_created_at.isoformat(), "2016-01-01T14:30:00+00:00")
        equal((read.attributes.tags, read.attributes.custom), (["vip"], {"seats": 3}))
        equal((read.data_source_uuids, read.external_ids), ([made["source"]], ["one"]))

    @checks.run
    def duplicate_customer_is_refused():
        data = {"data_source_uuid": made["source"], "external_id": "one"}
        body = refused(422, chartmogul.Customer.create(config, data=data))
        equal(body["errors"], {"external_id": "The external ID for this customer already exists in our system."})

    @checks.run
    def customer_is_changed():
        data = {"name": "Ann B. Lee", "country": "DE", "state": "NY", "owner": "stranger@nowhere.example"}
        changed = chartmogul.Customer.modify(config, uuid=made["one"], data=data).get()
        equal((changed.name, changed.company, changed.state), ("Ann B. Lee", "Lee", None))
        equal(changed.address.country, "Germany")
        refused(404, chartmogul.Customer.modify(config, uuid="cus_unknown", data=data))

    @checks.run
    def customers_are_listed_page_by_page():
        for number in range(7):
            customer(f"page {number}")
        seen, pages, cursor = [], 0, {}
        while True:
            page = chartmogul.Customer.all(config, data_source_uuid=made["source"], per_page=3, **cursor).get()
            seen += [one.external_id for one in page.entries]
            pages += 1
            if not page.has_more:
                break
            cursor = {"cursor": page.cursor}
        equal(sorted(seen), sorted(["one"] + [f"page {number}" for number in range(7)]))
        equal(pages, 3)

    @checks.run
    def customers_are_found_by_their_key():
        found = chartmogul.Customer.all(config, data_source_uuid=made["source"], external_id="one").get()
        equal([one.uuid for one in found.entries], [made["one"]])
        nobody = chartmogul.Customer.all(config, data_source_uuid=made["source"], external_id="nobody").get()
        equal((nobody.entries, nobody.has_more, nobody.cursor), ([], False, None))

    @checks.run
    def customers_are_found_by_email():
        email = f"search{RUN}@lee.example"
        uuid = customer("by email", email=email).uuid
        equal([one.uuid for one in chartmogul.Customer.search(config, email=email).get().entries], [uuid])
        body = refused(404, chartmogul.Customer.search(config, email="nobody@lee.example"))
        equal(body["param"], "email")

    @checks.run
    def tags_are_added_and_removed():
        equal(chartmogul.Tags.add(config, uuid=made["one"], data={"tags": ["a", "vip"]}).get().tags, ["vip", "a"])
        equal(chartmogul.Tags.remove(config, uuid=made["one"], data={"tags": ["vip"]}).get().tags, ["a"])

    @checks.run
    def tags_are_added_by_email():
        email = f"tags{RUN}@lee.example"
        customer("tags by email", email=email)
        found = chartmogul.Tags.add_by_email(config, data={"email": email, "tags": ["mailed"]}).get()
        equal([one.attributes.tags for one in found.entries], [["mailed"]])

    @checks.run
    def custom_attributes_are_added_changed_and_removed():
        typed = [
            {"type": "String", "key": "channel", "value": "ads", "source": "warehouse"},
            {"type": "Timestamp", "key": "seen_at", "value": "2016-01-31 00:00:00 UTC"},
            {"type": "Boolean", "key": "pro", "value": True},
        ]
        custom = chartmogul.CustomAttributes.add(config, uuid=made["one"], data={"custom": typed}).get().custom
        equal(custom, {"seats": 3, "channel": "ads", "seen_at": "2016-01-31T00:00:00.000Z", "pro": True})
        data = {"custom": {"pro": False, "channel": {"value": "mail", "source": "warehouse"}}}
        custom = chartmogul.CustomAttributes.update(config, uuid=made["one"], data=data).get().custom
        equal((custom["pro"], custom["channel"]), (False, "mail"))
        chartmogul.CustomAttributes.remove(config, uuid=made["one"], data={"custom": ["pro", "seen_at"]}).get()
        attributes = chartmogul.Attributes.retrieve(config, uuid=made["one"]).get()
        equal((attributes.custom, attributes.tags), ({"seats": 3, "channel": "mail"}, ["a"]))
        conflict = {"custom": [{"type": "String", "key": "seats", "value": "3"}]}
        refused(422, chartmogul.CustomAttributes.add(config, uuid=made["one"], data=conflict))

    @checks.run
    def custom_attributes_are_added_by_email():
        email = f"custom{RUN}@lee.example"
        customer("custom by email", email=email)
        data = {"email": email, "custom": [{"type": "Integer", "key": "seats", "value": 9}]}
        found = chartmogul.CustomAttributes.add_by_email(config, data=data).get()
        equal([one.attributes.custom for one in found.entries], [{"seats": 9}])

    @checks.run
    def contacts_are_made_read_changed_and_removed():
        data = {
            "customer_uuid": made["one"],
            "data_source_uuid": made["source"],
            "external_id": "k-1",
            "first_name": "Ann",
            "email": "ann@lee.example",
            "custom": [{"key": "undefined_key", "value": 1}],
        }
        contact = chartmogul.Contact.create(config, data=data).get()
        equal((contact.external_id, contact.position, contact.last_name, contact.custom), ("k-1", 1, None, {}))
        equal(contact.customer_external_id, "one")
        changed = chartmogul.Contact.modify(config, uuid=contact.uuid, data={"last_name": "Lee", "external_id": None}).get()
        equal((changed.first_name, changed.last_name, changed.external_id), ("Ann", "Lee", None))
        equal(chartmogul.Contact.retrieve(config, uuid=contact.uuid).get().last_name, "Lee")
        chartmogul.Contact.destroy(config, uuid=contact.uuid).get()
        refused(404, chartmogul.Contact.retrieve(config, uuid=contact.uuid))

    @checks.run
    def contacts_are_listed_newest_first_and_under_their_customer():
        for number in range(3):
            data = {"data_source_uuid": made["source"], "first_name": str(number)}
            chartmogul.Customer.createContact(config, uuid=made["one"], data=data).get()
        page = chartmogul.Contact.all(config, data_source_uuid=made["source"], per_page=2).get()
        equal([one.first_name for one in page.entries], ["2", "1"])
        page = chartmogul.Contact.all(config, data_source_uuid=made["source"], per_page=2, cursor=page.cursor).get()
        equal(([one.first_name for one in page.entries], page.has_more), (["0"], False))
        equal(len(chartmogul.Customer.contacts(config, uuid=made["one"]).get().entries), 3)

    @checks.run
    def contacts_are_merged():
        into, from_ = chartmogul.Customer.contacts(config, uuid=made["one"]).get().entries[:2]
        merged = chartmogul.Contact.merge(config, into_uuid=into.uuid, from_uuid=from_.uuid).get()
        equal((merged.uuid, merged.customer_uuid), (into.uuid, None))
        equal(len(chartmogul.Customer.contacts(config, uuid=made["one"]).get().entries), 2)

    @checks.run
    def contacts_are_found_by_each_filter():
        data = {"customer_uuid": made["one"], "data_source_uuid": made["source"], "email": "filter@lee.example"}
        uuid = chartmogul.Contact.create(config, data=data).get().uuid
        for query in ({"email": "filter@lee.example"}, {"customer_external_id": "one"}, {"customer_uuid": made["one"]}):
            found = chartmogul.Contact.all(config, data_source_uuid=made["source"], **query).get().entries
            assert uuid in [one.uuid for one in found], query
        equal(chartmogul.Contact.all(config, customer_uuid="cus_unknown").get().entries, [])
        chartmogul.Contact.destroy(config, uuid=uuid).get()

    @checks.run
    def customer_for_what_hangs_on_one_is_made():
        made["hub"] = customer("hub", name="Hub").uuid

    for section in (notes, opportunities, tasks):
        section(checks, config, made.get("hub"))

    def hanging_on(uuid):
        lists = (chartmogul.Customer.notes, chartmogul.Customer.opportunities, chartmogul.Customer.tasks)
        return tuple(len(entries(config, uuid=uuid).get().entries) for entries in lists)

    @checks.run
    def what_hangs_on_merged_customers_is_united_and_moves_when_named():
        into = customer("hub too").uuid
        data = {"from": {"customer_uuid": made["hub"]}, "into": {"customer_uuid": into}}
        chartmogul.Customer.merge(config, data=data).get()
        equal(hanging_on(into), (4, 3, 3))
        data = {
            "customer_uuid": into,
            "data_source_uuid": made["source"],
            "external_id": "hub",
            "move_to_new_customer": ["tasks", "notes"],
        }
        chartmogul.Customer.unmerge(config, data=data).get()
        found = chartmogul.Customer.all(config, data_source_uuid=made["source"], external_id="hub").get()
        equal((hanging_on(into), hanging_on(found.entries[0].uuid)), ((0, 3, 0), (4, 0, 3)))
        for uuid in (into, found.entries[0].uuid):
            chartmogul.Customer.destroy(config, uuid=uuid).get()
            equal(hanging_on(uuid), (0, 0, 0))

    @checks.run
    def customers_are_merged_and_taken_apart():
        absorbed = customer("absorbed", name="Absorbed").uuid
        data = {"from": {"customer_uuid": absorbed}, "into": {"customer_uuid": made["one"]}}
        equal(chartmogul.Customer.merge(config, data=data).get(), None)
        equal(chartmogul.Customer.retrieve(config, uuid=made["one"]).get().external_ids, ["one", "absorbed"])
        refused(404, chartmogul.Customer.retrieve(config, uuid=absorbed))
        found = chartmogul.Customer.all(config, data_source_uuid=made["source"], external_id="absorbed").get()
        equal([one.uuid for one in found.entries], [made["one"]])
        data = {
            "customer_uuid": made["one"],
            "data_source_uuid": made["source"],
            "external_id": "absorbed",
            "move_to_new_customer": [],
        }
        chartmogul.Customer.unmerge(config, data=data).get()
        equal(chartmogul.Customer.retrieve(config, uuid=made["one"]).get().external_ids, ["one"])

    @checks.run
    def customer_is_removed():
        chartmogul.Customer.destroy(config, uuid=made["one"]).get()
        refused(404, chartmogul.Customer.retrieve(config, uuid=made["one"]))

    @checks.run
    def data_source_is_removed_with_its_customers():
        chartmogul.DataSource.destroy(config, uuid=made["source"]).get()
        equal(chartmogul.Customer.all(config, data_source_uuid=made["source"]).get().entries, [])

    return checks.done()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
