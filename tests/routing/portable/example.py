"""One document that uses every kind of row, and the endpoints that it speaks of."""

from endpoints.models import Endpoint
from oneio.models import Environment
from tests.factories import make_endpoint

FULL = """\
oneio: 1
tables:
  Priorities:
    unmapped: default
    default: Medium
    rows:
      - [1 - Critical, Highest]
      - [2 - High, High]
  Teams:
    inputs: [category, service]
    outputs: [component, team]
    rows:
      - {from: [network, '*'], to: [Network, NOC]}
rules:
  incident-to-jira:
    name: Incident → Jira
    use_case: Incidents
    from: servicenow/incident
    to: jira/incident
    operations: [create, update]
    priority: 5
    supersede: true
    when:
      - {attribute: assignment_group, operator: exists}
      - any:
          - {attribute: priority, operator: in, values: [1, 2 - High]}
          - all:
              - {attribute: status, operator: equals, value: New}
              - {attribute: impact, operator: exists}
    variables:
      - {target: caller, source: reporter, missing: default, default: somebody}
    outgoing:
      - target: title
        source: title
        formatters: [{name: upper, arguments: {}}]
        only_on: create
        when:
          - {attribute: status, operator: equals, value: New}
      - {target: priority, kind: translate, source: priority, table: Priorities}
    conversation:
      - {target: last_status, source: status}
    delays:
      - {kind: time, seconds: 60}
    lookups:
      - {from: servicenow/incident, name: caller, criteria: [{attribute: email, template: '{{ email }}'}]}
    attachments: {max_bytes: 1024}
"""


def systems(environment: Environment) -> tuple[Endpoint, Endpoint]:
    """The two endpoints of the document."""
    one = make_endpoint(environment=environment, slug="servicenow", name="ServiceNow")
    other = make_endpoint(environment=environment, slug="jira", name="Jira")
    return one, other
