from deployments.page import markup


def test_what_a_miner_calls_itself_is_text_and_no_markup() -> None:
    bad = '"><img src=x onerror=alert(1)>'
    assert "<img" not in markup.text(bad)
    assert markup.miner(bad).startswith('<a href="/miner/%22%3E%3Cimg')
    assert "<img" not in markup.miner(bad)
    assert "<img" not in markup.element("p", title=bad)


def test_an_age_is_the_time_it_is_of_so_that_it_stays_the_same_markup() -> None:
    assert markup.age(1_795_478_400.0, "read ") == (
        'read <time title="2026-11-24 00:00:00 UTC" data-age-of="1795478400">2026-11-24 00:00:00 UTC</time> ago'
    )
    assert markup.age(None) == "–"  # noqa: RUF001


def test_cells_of_a_table_carry_the_name_of_their_column_for_narrow_screens() -> None:
    made = markup.table("Pools", ("Pool", "Workers"), [(markup.text("a"), markup.text("3"))], figures=("Workers",))
    assert '<caption class="unseen">Pools</caption>' in made
    assert '<th scope="row">a</th><td data-label="Workers" class="fig"><span>3</span></td>' in made
