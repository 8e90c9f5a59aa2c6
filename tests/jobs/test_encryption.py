"""jobs.encryption: what lies in the database cannot be read without the keys, and keys can be changed."""

from __future__ import annotations

import ipaddress

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.urls import reverse
from standardwebhooks import Webhook

from jobs.encryption import WrongKey, decrypt, encrypt
from jobs.models import Delivery, WebhookEndpoint
from jobs.notices import announce_test, deliver_due, rotate_secret
from tests.jobs.receivers import receiving

OLD, NEW, OTHER = "o" * 32, "n" * 32, "x" * 32


@pytest.fixture
def endpoint(blue):
    return WebhookEndpoint.objects.create(team=blue, url="https://hooks.example/")


def columns(endpoint):
    endpoint.refresh_from_db()
    return endpoint.encrypted_secret, endpoint.encrypted_old_secret


@pytest.mark.parametrize("text", ["", "a", "whsec_AAAA", "ü\u2028\0", "x" * 10_000])
def test_what_was_encrypted_comes_back_and_never_looks_the_same(text):
    tokens = {encrypt(text), encrypt(text)}
    assert len(tokens) == 2
    assert {decrypt(token) for token in tokens} == {text}


FOREIGN = Fernet(Fernet.generate_key()).encrypt(b"a").decode()


@pytest.mark.parametrize("token", ["", "x", "whsec_AAAA", pytest.param(FOREIGN, id="foreign")])
def test_what_no_key_decrypts_is_told_with_the_cure(token):
    with pytest.raises(WrongKey, match=r"The secret cannot be decrypted.*DATA_KEYS"):
        decrypt(token, what="The secret")


def test_a_changed_token_is_refused():
    token = encrypt("secret")
    middle = len(token) // 2
    forged = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    with pytest.raises(WrongKey):
        decrypt(forged)


@pytest.mark.django_db
def test_no_column_of_the_table_holds_a_secret(people, endpoint):
    old = endpoint.secret
    rotate_secret(people.olga, endpoint)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM jobs_webhookendpoint")
        row = str(cursor.fetchall())
    assert endpoint.secrets == [endpoint.secret, old]
    for secret in endpoint.secrets:
        assert secret not in row
        assert secret.removeprefix("whsec_") not in row


@pytest.mark.django_db
def test_an_old_key_reads_until_all_is_encrypted_with_the_new_one(people, endpoint, settings, capsys):
    settings.DATA_KEYS = (OLD,)
    endpoint.secret = "whsec_" + "A" * 32
    endpoint.save()
    rotate_secret(people.olga, endpoint)
    secrets = endpoint.secrets
    settings.DATA_KEYS = (NEW, OLD)
    assert endpoint.secrets == secrets
    before = columns(endpoint)
    call_command("encrypt_secrets")
    assert "2 secrets encrypted" in capsys.readouterr().out
    assert not set(before) & set(columns(endpoint))
    settings.DATA_KEYS = (NEW,)
    assert endpoint.secrets == secrets
    call_command("encrypt_secrets")
    assert "0 secrets encrypted" in capsys.readouterr().out


@pytest.mark.django_db
def test_the_command_leaves_what_it_cannot_read_as_it_is(endpoint, settings, capsys):
    before = columns(endpoint)
    settings.DATA_KEYS = (NEW,)
    with pytest.raises(SystemExit) as stopped:
        call_command("encrypt_secrets")
    assert stopped.value.code == 1
    assert f"endpoint {endpoint.pk} of blue" in capsys.readouterr().err
    assert columns(endpoint) == before


@pytest.mark.django_db
def test_with_a_wrong_key_nothing_is_sent_and_nothing_lost(client, people, endpoint, settings):
    right = settings.DATA_KEYS
    settings.WEBHOOK_ALLOWED_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    before, secret = columns(endpoint), endpoint.secret
    with receiving() as receiver:
        WebhookEndpoint.objects.update(url=receiver.url)
        announce_test(endpoint)
        settings.DATA_KEYS = (OTHER,)
        assert deliver_due() == 1
        assert receiver.requests == []
        delivery = Delivery.objects.get()
        assert delivery.state == Delivery.WAITING
        assert "DATA_KEYS" in delivery.last_answer
        client.force_login(people.olga)
        page = client.get(reverse("admin:deliveries"))
        assert page.status_code == 200
        assert "Nothing is sent. The secret of this endpoint cannot be decrypted" in page.content.decode()
        settings.DATA_KEYS = right
        assert "Nothing is sent" not in client.get(reverse("admin:deliveries")).content.decode()
        Delivery.objects.update(available_at=delivery.created_at)
        assert deliver_due() == 1
        (request,) = receiver.requests
        assert Webhook(secret).verify(request["body"], request["headers"])
    assert columns(endpoint) == before


@pytest.mark.django_db
def test_the_record_says_so_and_takes_another_secret(client, people, blue, endpoint, settings):
    before = columns(endpoint)
    settings.DATA_KEYS = (OTHER,)
    client.force_login(people.olga)
    address = reverse("admin:jobs_webhookendpoint_change", args=[endpoint.pk])
    assert "an empty field changes nothing" in client.get(address).content.decode()
    data = {"team": blue.pk, "url": "https://hooks.example/b", "events": ["job.failed"], "active": "on", "secret": ""}
    assert client.post(address, data).status_code == 302
    assert columns(endpoint) == before
    fresh = "whsec_" + "B" * 32
    assert client.post(address, {**data, "secret": fresh}).status_code == 302
    endpoint.refresh_from_db()
    assert endpoint.secrets == [fresh]
    assert client.post(address, {**data, "secret": ""}).status_code == 200  # it can be read now, and must not go


@pytest.mark.django_db(transaction=True)
def test_the_migration_encrypts_what_there_was_and_goes_back():
    before, after = ("jobs", "0020_old_secret"), _this_migration()
    executor = MigrationExecutor(connection)
    latest = list(executor.loader.graph.leaf_nodes())
    try:
        executor.migrate([before])
        apps = executor.loader.project_state([before]).apps
        team = apps.get_model("jobs", "Team").objects.create(name="Blue", slug="blue")
        apps.get_model("jobs", "WebhookEndpoint").objects.create(
            team=team, url="https://a.example/", secret="whsec_now", old_secret="whsec_before", events=[]
        )
        MigrationExecutor(connection).migrate([after])
        row = WebhookEndpoint.objects.values("encrypted_secret", "encrypted_old_secret").get()
        assert [decrypt(token) for token in row.values()] == ["whsec_now", "whsec_before"]
        MigrationExecutor(connection).migrate([before])
        plain = apps.get_model("jobs", "WebhookEndpoint").objects.get()
        assert (plain.secret, plain.old_secret) == ("whsec_now", "whsec_before")
    finally:
        MigrationExecutor(connection).migrate(latest)


def _this_migration():
    names = [name for app, name in MigrationExecutor(connection).loader.graph.nodes if app == "jobs"]
    return "jobs", next(name for name in names if name.endswith("_encrypted_secrets"))
