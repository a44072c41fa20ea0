#!/usr/bin/env python3
"""ChartMogul's official Python client against a sandbox: plans, invoices, subscriptions and their events, and bulk imports.

    pip install --no-deps -r requirements/chartmogul.txt
    chartmogul_billing.py BASE_URL API_KEY      (BASE_URL with its version, as http://127.0.0.1:8040/v1)

As chartmogul_client.py, whose pace it keeps. Everything it makes stands in a data source and in plan groups of its own, which
it removes. The client gives nothing back for a 202, so what a change of a plan or a subscription did is read afterwards.
"""

import sys
import time
import warnings

import chartmogul

from chartmogul_client import RUN, refused
from checks import Checks, equal


# The client's own change of an invoice goes to a path that no page of the documentation names; this is the documented one.
chartmogul.Invoice.modify = chartmogul.Invoice._method("modify", "patch", "/invoices{/uuid}")

# What an import says of a customer, kind by kind.
KINDS = ("customers", "invoices", "line_items", "transactions", "subscription_events")


def main(base_url, api_key):
    config = chartmogul.Config(api_key, request_timeout=10, max_retries=0)
    config.uri = base_url.rstrip("/")
    checks = Checks()
    made = {}

    def key(external_id):
        return {"data_source_uuid": made["source"], "external_id": external_id}

    def plan(external_id, **fields):
        data = {**key(external_id), "name": "Pro", "interval_count": 1, "interval_unit": "month", **fields}
        return chartmogul.Plan.create(config, data=data).get()

    def line_item(external_id, subscription):
        return {
            "type": "subscription",
            "external_id": external_id,
            "subscription_external_id": subscription,
            "plan_uuid": made["plan"],
            "service_period_start": "2026-01-01T00:00:00Z",
            "service_period_end": "2026-02-01T00:00:00Z",
            "amount_in_cents": 9900,
        }

    def invoices(*bodies):
        return chartmogul.Invoice.create(config, uuid=made["customer"], data={"invoices": list(bodies)})

    def invoice(external_id, subscription, **fields):
        items = [line_item(f"{external_id}-l", subscription)]
        return {"external_id": external_id, "date": "2026-01-01", "currency": "USD", "line_items": items, **fields}

    def imported_subscriptions():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return chartmogul.Subscription.list_imported(config, uuid=made["customer"]).get().subscriptions

    @checks.run
    def account_is_prepared():
        made["source"] = chartmogul.DataSource.create(config, data={"name": f"python billing {RUN}"}).get().uuid
        made["customer"] = chartmogul.Customer.create(config, data={**key("c"), "name": "Ann Lee"}).get().uuid

    @checks.run
    def plans_are_made_listed_and_unique():
        one = plan("p")
        made["plan"] = one.uuid
        equal((one.name, one.interval_count, one.interval_unit), ("Pro", 1, "month"))
        equal(chartmogul.Plan.retrieve(config, uuid=one.uuid).get().external_id, "p")
        listed = chartmogul.Plan.all(config, **key("p")).get().plans
        equal([found.uuid for found in listed], [one.uuid])
        data = {**key("p"), "name": "Pro", "interval_count": 1, "interval_unit": "day"}
        body = refused(422, chartmogul.Plan.create(config, data=data))
        equal(body["errors"], {"external_id": "A plan with this identifier already exists in our system."})

    @checks.run
    def plans_are_changed_and_removed():
        other = plan("q", interval_unit="year")
        chartmogul.Plan.modify(config, uuid=other.uuid, data={"name": "Max", "interval_count": 2}).get()
        read = chartmogul.Plan.retrieve(config, uuid=other.uuid).get()
        equal((read.name, read.interval_count, read.interval_unit), ("Max", 2, "year"))
        chartmogul.Plan.destroy(config, uuid=other.uuid).get()
        refused(404, chartmogul.Plan.retrieve(config, uuid=other.uuid))

    @checks.run
    def plan_groups_are_made_changed_and_removed():
        other = plan("r")
        data = {"name": f"Group {RUN}", "plans": [made["plan"], other.uuid]}
        group = chartmogul.PlanGroup.create(config, data=data).get()
        equal((group.name, group.plans_count), (data["name"], 2))
        changed = chartmogul.PlanGroup.modify(config, uuid=group.uuid, data={"plans": [made["plan"]]}).get()
        equal((changed.name, changed.plans_count), (data["name"], 1))
        plans = chartmogul.PlanGroup.all(config, uuid=group.uuid).get().plans
        equal([one.external_id for one in plans], ["p"])
        assert group.uuid in [one.uuid for one in chartmogul.PlanGroup.all(config).get().plan_groups]
        chartmogul.PlanGroup.destroy(config, uuid=group.uuid).get()
        refused(404, chartmogul.PlanGroup.retrieve(config, uuid=group.uuid))
        body = refused(422, chartmogul.PlanGroup.create(config, data={}))
        equal([detail["param"] for detail in body["error_details"]], ["name", "plan_ids"])

    @checks.run
    def invoices_are_imported_with_all_they_have():
        payment = {"type": "payment", "date": "2026-01-02", "result": "successful", "external_id": "t1"}
        found = invoices(invoice("i1", "s1", transactions=[payment]), invoice("i2", "s2")).get().invoices
        equal([one.external_id for one in found], ["i1", "i2"])
        one = found[0]
        equal((one.status, one.currency, one.date.isoformat()), ("paid", "USD", "2026-01-01T00:00:00+00:00"))
        equal((one.line_items[0].amount_in_cents, one.line_items[0].quantity), (9900, 1))
        equal((one.transactions[0].external_id, one.transactions[0].amount_in_cents), ("t1", None))
        assert one.line_items[0].subscription_uuid.startswith("sub_")

    @checks.run
    def duplicate_invoices_are_refused_as_a_whole():
        body = refused(422, invoices(invoice("i1", "s1"), invoice("i3", "s3")))
        equal(
            [one["errors"] for one in body["invoices"]],
            [
                {
                    "external_id": "The external ID for this invoice already exists in our system.",
                    "line_items.external_id": "The external ID for this line item already exists in our system.",
                },
                {},
            ],
        )
        equal(chartmogul.Invoice.all(config, data_source_uuid=made["source"], external_id="i3").get().invoices, [])

    @checks.run
    def invoices_are_found_by_customer_uuid_and_key():
        of_customer = chartmogul.Invoice.all(config, uuid=made["customer"]).get()
        equal(([one.external_id for one in of_customer.invoices], of_customer.customer_uuid), (["i2", "i1"], made["customer"]))
        page = chartmogul.Invoice.all(config, customer_uuid=made["customer"], per_page=1).get()
        equal(([one.external_id for one in page.invoices], page.has_more), (["i2"], True))
        page = chartmogul.Invoice.all(config, customer_uuid=made["customer"], per_page=1, cursor=page.cursor).get()
        equal(([one.external_id for one in page.invoices], page.has_more), (["i1"], False))
        read = chartmogul.Invoice.retrieve(config, **key("i1")).get()
        equal(chartmogul.Invoice.retrieve(config, uuid=read.uuid).get().external_id, "i1")

    @checks.run
    def invoices_are_changed_and_their_status_is_set():
        changed = chartmogul.Invoice.modify(config, **key("i2"), data={"currency": "EUR", "due_date": "2026-01-31"}).get()
        equal((changed.currency, changed.due_date.isoformat()), ("EUR", "2026-01-31T00:00:00+00:00"))
        equal(changed.line_items[0].amount_in_cents, 9900)
        chartmogul.Invoice.update_status(config, **key("i2"), data={"status": "voided"}).get()
        equal(chartmogul.Invoice.retrieve(config, **key("i2")).get().status, "voided")
        refused(422, chartmogul.Invoice.disable(config, **key("i2"), data={"disabled": True}))
        refused(404, chartmogul.Invoice.modify(config, **key("none"), data={"currency": "EUR"}))

    @checks.run
    def line_items_are_made_read_changed_and_removed():
        uuid = chartmogul.Invoice.retrieve(config, **key("i2")).get().uuid
        single = {"type": "one_time", "external_id": "l9", "amount_in_cents": 500, "description": "Setup"}
        one = chartmogul.LineItem.create(config, uuid=uuid, data=single).get()
        equal((one.description, one.amount_in_cents), ("Setup", 500))
        changed = chartmogul.LineItem.modify(config, **key("l9"), data={"amount_in_cents": -500}).get()
        equal((changed.uuid, changed.amount_in_cents), (one.uuid, -500))
        equal(chartmogul.LineItem.retrieve(config, uuid=one.uuid).get().external_id, "l9")
        equal(chartmogul.LineItem.retrieve(config, **key("l9")).get().uuid, one.uuid)
        chartmogul.LineItem.destroy(config, **key("l9")).get()
        equal(refused(404, chartmogul.LineItem.retrieve(config, uuid=one.uuid)), {"error": "Line item not found"})

    @checks.run
    def transactions_are_made_read_changed_and_removed():
        uuid = chartmogul.Invoice.retrieve(config, **key("i2")).get().uuid
        payment = {"type": "payment", "date": "2026-01-03", "result": "successful", "external_id": "t9", "amount_in_cents": 900}
        one = chartmogul.Transaction.create(config, uuid=uuid, data=payment).get()
        equal((one.external_id, one.amount_in_cents, one.date.isoformat()), ("t9", 900, "2026-01-03T00:00:00+00:00"))
        body = refused(422, chartmogul.Transaction.create(config, uuid=uuid, data=payment))
        equal(body["errors"], {"external_id": "has already been taken"})
        equal(chartmogul.Transaction.modify(config, **key("t9"), data={"result": "failed"}).get().result, "failed")
        equal(chartmogul.Transaction.retrieve(config, **key("t9")).get().uuid, one.uuid)
        chartmogul.Transaction.destroy(config, uuid=one.uuid).get()
        equal(refused(404, chartmogul.Transaction.retrieve(config, **key("t9"))), {"error": "Transaction not found"})

    @checks.run
    def subscriptions_are_cancelled():
        one = imported_subscriptions()[0]
        equal((one.external_id, one.plan_uuid, one.cancellation_dates), ("s2", made["plan"], []))
        chartmogul.Subscription.cancel(config, uuid=one.uuid, data={"cancelled_at": "2026-01-15T00:00:00Z"}).get()
        equal([date.isoformat() for date in imported_subscriptions()[0].cancellation_dates], ["2026-01-15T00:00:00+00:00"])
        chartmogul.Subscription.modify(config, uuid=one.uuid, data={"cancellation_dates": []}).get()
        equal(imported_subscriptions()[0].cancellation_dates, [])

    @checks.run
    def subscriptions_are_connected_and_taken_apart():
        def seen():
            return [one.external_id for one in chartmogul.Customer.subscriptions(config, uuid=made["customer"]).get().entries]

        equal(seen(), ["s2", "s1"])
        both = {"subscriptions": [key("s1"), key("s2")]}
        equal(chartmogul.Customer.connectSubscriptions(config, uuid=made["customer"], data=both).get(), None)
        equal(seen(), ["s2"])
        equal(chartmogul.Customer.disconnectSubscriptions(config, uuid=made["customer"], data=both).get(), None)
        equal(seen(), ["s2", "s1"])
        unknown = {"subscriptions": [key("s1"), key("none")]}
        refused(404, chartmogul.Customer.connectSubscriptions(config, uuid=made["customer"], data=unknown))

    def event(external_id, **fields):
        return {
            "subscription_event": {
                **key(external_id),
                "customer_external_id": "c",
                "subscription_external_id": "s4",
                "plan_external_id": "p",
                "event_type": "subscription_start",
                "event_date": "2026-01-01",
                "effective_date": "2026-01-01",
                "currency": "USD",
                "amount_in_cents": 9900,
                **fields,
            }
        }

    @checks.run
    def subscription_events_are_made_listed_changed_and_removed():
        one = chartmogul.SubscriptionEvent.create(config, data=event("e1")).get()
        equal((one.external_id, one.quantity, one.event_date.isoformat()), ("e1", 1, "2026-01-01T00:00:00+00:00"))
        changed = chartmogul.SubscriptionEvent.modify_with_params(config, id=one.id, data={"external_id": "e2"}).get()
        equal((changed.id, changed.external_id), (one.id, "e2"))
        changed = chartmogul.SubscriptionEvent.modify_with_params(config, data={**key("e2"), "amount_in_cents": 100}).get()
        equal((changed.id, changed.amount_in_cents), (one.id, 100))
        listed = chartmogul.SubscriptionEvent.all(config, customer_external_id="c", data_source_uuid=made["source"]).get()
        equal(([found.external_id for found in listed.subscription_events], listed.has_more), (["e2"], False))
        chartmogul.SubscriptionEvent.destroy_with_params(config, data=key("e2")).get()
        refused(404, chartmogul.SubscriptionEvent.destroy_with_params(config, data={"id": one.id}))

    @checks.run
    def subscription_events_need_what_their_type_needs():
        body = refused(422, chartmogul.SubscriptionEvent.create(config, data=event("e3", plan_external_id=None)))
        equal(list(body["errors"]), ["plan_external_id"])
        body = refused(422, chartmogul.SubscriptionEvent.create(config, data=event("e3", customer_external_id="none")))
        equal(list(body["errors"]), ["customer_external_id"])

    @checks.run
    def invoices_are_removed_one_by_one_and_all_at_once():
        chartmogul.Invoice.destroy(config, **key("i1")).get()
        equal([one.external_id for one in imported_subscriptions()], ["s2"])
        refused(404, chartmogul.Invoice.destroy(config, **key("i1")))
        chartmogul.Invoice.destroy_all(config, data_source_uuid=made["source"], customer_uuid=made["customer"]).get()
        equal(chartmogul.Invoice.all(config, uuid=made["customer"]).get().invoices, [])

    def import_once(external_id, **kinds):
        """Sends an import and gives what it became; it has to end within a minute."""
        where = {"data_source_uuid": made["source"]}
        sent = chartmogul.JsonImport.create(config, **where, data={"external_id": external_id, **kinds}).get()
        equal((sent.status, sent.external_id, sent.data_source_uuid), ("queued", external_id, made["source"]))
        for _ in range(600):
            one = chartmogul.JsonImport.retrieve(config, **where, id=external_id).get()
            equal(one.id, sent.id)
            if one.status not in ("queued", "processing"):
                return one
            time.sleep(0.1)
        raise AssertionError(f"the import is still {one.status}")

    def processing():
        source = chartmogul.DataSource.retrieve(config, uuid=made["source"], with_processing_status=True).get()
        return source.processing_status

    @checks.run
    def imports_are_made_and_tracked_to_their_end():
        # Both as by themselves, but for what they refer to.
        item = {**line_item("b-l", "b-s"), "invoice_external_id": "b-i", "plan_external_id": "b-p"}
        start = {**event("b-e", customer_external_id="b", plan_external_id="b-p")["subscription_event"]}
        del item["plan_uuid"], start["data_source_uuid"]
        payment = {"type": "payment", "date": "2026-01-02", "result": "successful", "external_id": "b-t"}
        one = import_once(
            "python-1",
            customers=[{"external_id": "b", "name": "Bo Ray", "email": "bo@example.com"}],
            plans=[{"external_id": "b-p", "name": "Bulk", "interval_count": 1, "interval_unit": "month"}],
            invoices=[{"external_id": "b-i", "customer_external_id": "b", "date": "2026-01-01", "currency": "USD"}],
            line_items=[item],
            transactions=[{**payment, "invoice_external_id": "b-i"}],
            subscription_events=[start],
        )
        equal(one.status, "completed")
        equal(one.status_details["plans"], {"status": "imported"})
        equal(sorted(one.status_details["b"]), sorted([*KINDS, "status"]))
        found = chartmogul.Invoice.retrieve(config, **key("b-i")).get()
        equal((found.status, found.customer_external_id, found.errors), ("paid", "b", {}))
        equal(chartmogul.Plan.retrieve(config, uuid=found.line_items[0].plan_uuid).get().external_id, "b-p")
        equal((processing().pending, processing().failed), (0, 0))

    @checks.run
    def imports_keep_what_is_invalid():
        lost = {"external_id": "b-j", "customer_external_id": "nobody", "date": "2026-01-01", "currency": "USD"}
        import_once("python-2", invoices=[lost])
        query = {"data_source_uuid": made["source"], "external_id": "b-j"}
        equal(chartmogul.Invoice.all(config, **query).get().invoices, [])
        found = chartmogul.Invoice.all(config, **query, validation_type="invalid").get().invoices
        equal(sorted(found[0].errors), ["customer_external_id", "line_items"])
        equal((processing().pending, processing().failed), (0, 1))

    @checks.run
    def imports_of_another_form_are_refused():
        where = {"data_source_uuid": made["source"]}
        tagged = {"external_id": "d", "name": "Di", "attributes": {"tags": ["vip"]}}
        body = refused(422, chartmogul.JsonImport.create(config, **where, data={"external_id": "x", "customers": [tagged]}))
        equal(list(body["errors"]), ["customers.attributes"])
        refused(400, chartmogul.JsonImport.create(config, **where, data={"customers": []}))
        refused(404, chartmogul.JsonImport.retrieve(config, **where, id="none"))
        refused(404, chartmogul.JsonImport.create(config, data_source_uuid="ds_none", data={"external_id": "x"}))

    @checks.run
    def data_source_is_removed_with_its_plans():
        chartmogul.DataSource.destroy(config, uuid=made["source"]).get()
        equal(chartmogul.Plan.all(config, data_source_uuid=made["source"]).get().plans, [])

    return checks.done()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
