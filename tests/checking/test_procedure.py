import pytest

from harness.checking import procedure
from harness.checking.moments import moments
from harness.model.design import CONTROL, SHAM, TREATED
from harness.model.history import Name, Phase
from harness.model.source import Source
from harness.model.verdict import Outcome
from tests.checking.histories import history, plus, step, terms, without

REFUSED = "psql: error: connection to server at 10.0.0.1, port 5432 failed: Connection refused"


def trial(*ran, texts=(), arm=TREATED, fault="Kill(db)", what="command", deviation=""):
    texts = texts or ["SELECT 1"] * len(ran)
    steps = tuple(step(n, text, what=what, deviation=deviation) for n, text in enumerate(texts))
    return history(arm, judged=terms(steps=steps), ran=ran, fault=fault)


def findings(*ran, **how):
    made = trial(*ran, **how)
    return list(procedure.check(made, moments(made)))


def failed(stderr, status=1, **data):
    return {"phase": "fail", "status": status, "stderr": stderr, "stdout": "", **data}


def said(stdout="", stderr="", **data):
    return {"status": 0, "stdout": stdout, "stderr": stderr, **data}


@pytest.mark.parametrize(
    "ran",
    [
        failed("bash: pgctl: command not found", 127),
        failed("", 127),
        failed("bash: ./x.sh: Permission denied", 126),
        failed("bash: -c: line 1: syntax error near unexpected token `)'", 2),
        failed("bash: -c: line 1: unexpected EOF while looking for matching `\"'", 2),
        failed("error: unknown flag: --forse"),
        failed('error: unknown command "restrt" for "kubectl rollout"'),
        failed("ls: unrecognized option '--frobnicate'", 2),
        failed("tar: invalid option -- 'Q'", 2),
        failed("Error: no such option: --x"),
        failed('ERROR:  42601: syntax error at or near "SELEC"'),
        failed('ERROR:  42703: column "waiting" does not exist'),
        failed('ERROR:  column "waiting" does not exist'),
        failed("ERROR:  function pg_terminate(integer) does not exist"),
        failed('ERROR:  22P02: invalid input syntax for type integer: "<pid>"'),
        failed('ERROR:  unrecognized configuration parameter "max_conections"'),
        failed("invalid command \\foo"),
        failed('error: the server doesn\'t have a resource type "deploymnt"'),
        failed(
            "error: there is no need to specify a resource type as a separate argument when passing arguments in ..."
        ),
        failed("error: arguments in resource/name form must have a single resource and name"),
        failed("error: arguments in resource/name form may not have more than one slash"),
        failed("error: resource(s) were provided, but no name was specified"),
        failed("error: required resource not specified"),
        failed('psql: error: could not translate host name "db.old" to address: Name or service not known', 2),
        failed('ERROR:  42P01: relation "ordrs" does not exist'),
        failed('FATAL:  database "shp" does not exist', 2),
        failed("cat: /etc/nothing.conf: No such file or directory"),
        failed('Error from server (NotFound): deployments.apps "web" not found'),
        failed("Traceback (most recent call last):\nNameError: name 'x' is not defined"),
        failed("", why="SyntaxError: invalid syntax"),
    ],
)
def test_a_command_that_is_wrong_in_itself_is_broken_with_its_line(ran):
    (only,) = findings(ran)
    assert (only.check, only.outcome) == ("procedure", Outcome.FAILED)
    assert only.source == Source("runbook.md", 41)
    assert only.why.startswith("`SELECT 1` cannot work as written: ")
    assert len(only.evidence) == 1


@pytest.mark.parametrize(
    ("ran", "told"),
    [
        (failed(REFUSED, 2), "the system did not answer it"),
        (failed("FATAL:  53300: sorry, too many clients already", 2), "the system did not answer it"),
        (failed("ERROR: could not extend file: No space left on device"), "the system did not answer it"),
        (failed("curl: (22) The requested URL returned error: 503", 22), "the system did not answer it"),
        (failed("FATAL:  the database system is STARTING UP", 2), "the system did not answer it"),
        (failed("", 1), "it failed: status 1"),
        (failed("ERROR:  permission denied for table orders"), "it failed: ERROR:  permission denied"),
    ],
)
def test_a_command_that_failed_for_another_reason_is_not_broken(ran, told):
    step_finding, whole = findings(ran)
    assert (step_finding.check, step_finding.outcome) == ("step", Outcome.INCONCLUSIVE)
    assert told in step_finding.why
    assert (whole.check, whole.outcome) == ("procedure", Outcome.PASSED)


def test_without_a_fault_a_refused_connection_is_the_texts_own():
    (only,) = findings(failed(REFUSED, 2), arm=SHAM)
    assert (only.check, only.outcome) == ("procedure", Outcome.FAILED)
    assert "no fault is in force, and it does not reach its target: psql: error" in only.why


def test_what_the_fault_took_away_is_not_missing_from_the_text():
    missing = failed('ERROR:  42P01: relation "public.orders" does not exist')
    assert findings(missing, fault="LoseData(table=orders)")[0].check == "step"
    assert findings(missing, fault="LoseData(table=users)")[0].check == "procedure"
    assert findings(missing, fault="LoseData(table=orders)", arm=SHAM)[0].check == "procedure"
    assert findings(failed("cat: /x/sessions: No such file or directory"))[0].check == "step"


def test_a_misspelt_command_is_broken_whatever_the_fault_names():
    typed = failed('ERROR:  42703: column "orders" does not exist')
    assert findings(typed, fault="LoseData(table=orders)")[0].check == "procedure"


@pytest.mark.parametrize(
    ("text", "ran", "told"),
    [
        ("SELECT pg_terminate_backend(pid) FROM x", said("(0 rows)", terminated=0), "0 sessions terminated"),
        ("SELECT pg_cancel_backend(pid) FROM x", said("(0 rows)", terminated=0), "0 queries cancelled"),
        (
            "psql -c 'SELECT pg_terminate_backend(pid)'",
            said(" pg_terminate_backend\n---\n(0 rows)"),
            "0 sessions terminated",
        ),
        ("psql -tc 'SELECT pg_terminate_backend(pid)'", said(""), "0 sessions terminated"),
        ("SELECT pg_terminate_backend(1)", said(" f\n(1 row)"), "0 sessions terminated"),
        ("DELETE FROM x", said("DELETE 0\n"), "it changed nothing: DELETE 0"),
        ("UPDATE x", said("UPDATE 0\n"), "it changed nothing: UPDATE 0"),
        ("INSERT", said("INSERT 0 0\n"), "it changed nothing: INSERT 0 0"),
        ("kubectl delete pod -l a=b", said("No resources found"), "it changed nothing: No resources found"),
        (
            "psql < backup.sql",
            said("COPY 3", 'ERROR:  relation "orders" already exists\nERROR:  duplicate key'),
            '2 of its statements failed: ERROR:  relation "orders" already exists',
        ),
        (
            "psql -f a.sql",
            said("", "psql:a.sql:3: ERROR:  boom"),
            "1 of its statements failed: psql:a.sql:3: ERROR:  boom",
        ),
    ],
)
def test_a_command_that_reports_success_and_did_nothing_is_told(text, ran, told):
    step_finding, _ = findings(ran, texts=[text])
    assert (step_finding.check, step_finding.outcome) == ("step", Outcome.INCONCLUSIVE)
    assert step_finding.why == f"`{text}` reports success, but {told}"
    assert step_finding.source == Source("runbook.md", 41)


@pytest.mark.parametrize(
    ("text", "ran"),
    [
        ("SELECT pg_terminate_backend(pid) FROM x", said(" t\n(1 row)", terminated=1)),
        ("psql -c 'SELECT pg_terminate_backend(pid)'", said(" t\n t\n(2 rows)")),
        ("psql -c 'SELECT pid, pg_terminate_backend(pid)'", said(" 17 | t\n(1 row)")),
        ("psql -c 'SELECT pg_terminate_backend(pid)' > /dev/null", said("")),
        ("psql -c 'SELECT pg_terminate_backend(pid)'", said("Done, see the log")),
        ("SELECT count(*) FROM x", said(" 0\n(0 rows)", rows=0)),
        ("DELETE FROM x; DELETE FROM y", said("DELETE 0\nDELETE 3\n")),
        ("DELETE FROM x", said("DELETE 10\n")),
        ("cat log", said("ERROR: it was down\nsyntax error\ncommand not found")),
        ("docker logs x", said("", "12:00 app: column x does not exist")),
        ("true", {}),
    ],
)
def test_a_command_that_did_what_it_says_is_not_remarked_upon(text, ran):
    (only,) = findings(ran, texts=[text])
    assert (only.check, only.outcome) == ("procedure", Outcome.PASSED)


def test_a_program_missing_within_a_script_that_goes_on_is_broken():
    (only,) = findings(said("ok", "bash: line 2: jq: command not found"))
    assert only.why == "`SELECT 1` cannot work as written: bash: line 2: jq: command not found"
    (only,) = findings(said("", 'ERROR:  42601: syntax error at or near "x"'))
    assert (only.check, only.outcome) == ("procedure", Outcome.FAILED)


def test_a_step_that_did_not_end_is_told():
    first, _ = findings({"phase": "info", "status": None, "stderr": "syntax error", "why": "timed out"})
    assert (first.check, first.outcome, first.why) == ("step", Outcome.INCONCLUSIVE, "`SELECT 1`: timed out")
    first, _ = findings({"phase": "info"})
    assert first.why == "`SELECT 1`: it did not end by itself"


@pytest.mark.parametrize("what", ["manual", "skipped"])
def test_what_is_not_executed_is_not_judged(what):
    (only,) = findings({"phase": "info", "why": "for a person"}, what=what)
    assert only.why == "followed to its end: 0 commands, none of them broken as written"


def test_what_the_scenario_put_in_place_of_the_text_is_not_the_texts_failure():
    (only,) = findings(failed("bash: x: command not found", 127), deviation="no such tool here")
    assert (only.check, only.outcome) == ("procedure", Outcome.INCONCLUSIVE)
    assert "which the scenario runs in place of the text, cannot work" in only.why


def test_long_commands_are_cut_and_their_white_space_folded():
    first = findings(failed("", 1), texts=["SELECT\n   1" + " " * 20 + "x" * 100])[0]
    assert first.why.startswith("`SELECT 1 xxx")
    assert "x…`: it failed: status 1" in first.why
    assert len(first.why) == 80 + len("``: it failed: status 1")


def test_the_whole_line_of_a_complaint_is_told():
    (only,) = findings(failed("first line\nbash: foo: command not found here\nlast"))
    assert only.why.endswith("written: bash: foo: command not found here")


def test_a_procedure_cut_off_by_the_end_of_observation_is_told_so():
    made = without(trial({}), Name.PROCEDURE, Phase.OK)
    (only,) = procedure.check(made, moments(made))
    assert only.why == "followed until observation ended, not to its end: 1 command, none of them broken as written"


def test_commands_of_the_preparation_are_judged_and_not_counted():
    found = findings(failed("bash: x: command not found", 127, actor="preparation"), {}, texts=["x", "y"])
    assert [f.outcome for f in found] == [Outcome.FAILED]
    (only,) = findings({"actor": "preparation"}, {}, texts=["x", "y"])
    assert "1 command," in only.why


def test_an_arm_with_a_procedure_in_which_it_was_not_followed_is_invalid():
    made = without(without(trial({}), Name.PROCEDURE), Name.STEP)
    (only,) = procedure.check(made, moments(made))
    assert (only.check, only.outcome, only.why) == ("procedure", Outcome.INVALID, "the procedure was not followed")


@pytest.mark.parametrize("missing", [Name.STEADY, Name.FAULT])
def test_where_the_trial_did_not_get_so_far_nothing_is_said_of_it(missing):
    made = without(without(without(trial({}), Name.PROCEDURE), Name.STEP), missing)
    assert list(procedure.check(made, moments(made))) == []


def test_in_the_control_arm_only_the_preparation_is_judged():
    made = plus(trial(arm=CONTROL), -1, Name.STEP, Phase.FAIL, step=0, status=127, stderr="x: command not found")
    assert [f.check for f in procedure.check(made, moments(made))] == ["procedure"]
    assert list(procedure.check(trial(arm=CONTROL), moments(trial(arm=CONTROL)))) == []


def test_a_step_that_is_not_in_the_plan_is_named_by_its_own_text():
    made = plus(trial({}), 2, Name.STEP, Phase.FAIL, step=9, text="rm x", status=127)
    assert "`rm x` cannot work as written: the shell could not run it (status 127)" in [
        f.why for f in procedure.check(made, moments(made))
    ]


def test_the_executors_own_count_is_believed():
    counted = said("whatever it printed", terminated=0)
    assert "0 sessions terminated" in findings(counted, texts=["SELECT pg_terminate_backend(1)"])[0].why
    assert len(findings(said("(0 rows)", terminated=2), texts=["SELECT pg_terminate_backend(1)"])) == 1


def test_what_the_scenario_put_in_place_is_told_with_its_line():
    (only,) = findings(failed("bash: x: command not found", 127), deviation="no such tool here")
    assert only.source == Source("runbook.md", 41)
    assert len(only.evidence) == 1


def test_each_step_is_told_at_its_own_line():
    found = findings(failed("", 1), {"phase": "info", "why": "timed out"}, texts=["x", "y"])
    assert [f.source for f in found[:2]] == [Source("runbook.md", 41), Source("runbook.md", 42)]
    assert [len(f.evidence) for f in found[:2]] == [1, 1]


@pytest.mark.parametrize("complaint", ["one\ntwo\nbash: foo: command not found", "bash: foo: command not found\n\ntwo"])
def test_the_line_of_a_complaint_is_told_whole_wherever_it_stands(complaint):
    (only,) = findings(failed(complaint))
    assert only.why.endswith("written: bash: foo: command not found")


def test_a_figure_that_is_no_number_is_not_counted_but_what_was_printed():
    told = said("(0 rows)", terminated="some")
    assert "0 sessions terminated" in findings(told, texts=["SELECT pg_terminate_backend(1)"])[0].why
    told = said(" t\n(1 row)", terminated="0")
    assert [f.check for f in findings(told, texts=["SELECT pg_terminate_backend(1)"])] == ["procedure"]


@pytest.mark.parametrize(
    ("ran", "why"),
    [
        (failed(REFUSED), f"`SELECT 1`: the system did not answer it: {REFUSED}"),
        (failed("no luck"), "`SELECT 1`: it failed: no luck"),
        (failed(""), "`SELECT 1`: it failed: status 1"),
        ({"phase": "info", "why": "killed"}, "`SELECT 1`: killed"),
        ({"phase": "info"}, "`SELECT 1`: it did not end by itself"),
        (said("DELETE 0"), "`SELECT 1` reports success, but it changed nothing: DELETE 0"),
    ],
)
def test_what_proves_nothing_is_told_to_the_letter_with_its_event_and_its_line(ran, why):
    made = trial(ran)
    [event] = made.named(Name.STEP, Phase.OK, Phase.FAIL, Phase.INFO)
    told = next(f for f in procedure.check(made, moments(made)) if f.check == procedure.STEP)
    assert (told.why, told.outcome, told.evidence) == (why, Outcome.INCONCLUSIVE, (event.index,))
    assert told.source == Source("runbook.md", 41)


def test_what_is_missing_is_the_texts_mistake_where_the_fault_never_showed_and_does_not_name_it():
    made = without(trial(failed('ERROR:  relation "carts" does not exist')), Name.FAULT, Phase.OK)
    [told] = [f for f in procedure.check(made, moments(made)) if f.outcome is Outcome.FAILED]
    assert told.why == '`SELECT 1` cannot work as written: ERROR:  relation "carts" does not exist'


def test_sessions_that_are_told_in_words_are_counted():
    for text in ("true\n(1 row)", " t\n true\n(2 rows)"):
        told = findings(said(text), texts=["psql -tc 'SELECT pg_terminate_backend(1)'"])
        assert [f.check for f in told] == ["procedure"]


def test_the_last_line_of_a_complaint_is_told_whole():
    [told] = [f for f in findings({"phase": "fail", "status": 1, "why": "no\nsuch option: -x"}) if f.check == "step"]
    assert told.why == "`SELECT 1`: it failed: no"
    wrong = findings({"phase": "fail", "status": 1, "why": "usage: x\nno such option: -x"})
    assert [f.why for f in wrong] == ["`SELECT 1` cannot work as written: no such option: -x"]
