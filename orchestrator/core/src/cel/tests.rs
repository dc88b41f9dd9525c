use super::*;
use crate::custom::plain;
use proptest::prelude::*;
use serde_json::{Value, json};

fn variables(own: Value) -> BTreeMap<&'static str, Val> {
    BTreeMap::from([("self", plain(&own))])
}

/// The value of an expression as text, or its fault.
fn eval(source: &str, own: Value) -> String {
    let program = match Program::parse(source) {
        Ok(program) => program,
        Err(why) => return format!("no expression: {why}"),
    };
    match program.eval(&variables(own), &mut Budget::new(MAX_CALL_COST)) {
        Ok(value) => text::shown(&value),
        Err(Fault::Failed(why)) => format!("fault: {why}"),
        Err(Fault::Budget) => "fault: budget".into(),
    }
}

#[test]
fn the_language_gives_what_its_specification_says() {
    for (source, expected) in [
        ("1 + 2 * 3", "7"),
        ("7 / 2 == 3 && 7 % 2 == 1", "true"),
        ("1.5 + 1.5", "3"),
        ("'a' + 'b'", "ab"),
        ("[1] + [2]", "[1, 2]"),
        ("{'a': 1}['a']", "1"),
        ("{'a': 1}.a", "1"),
        ("1 == 1.0 && 1u == 1", "true"),
        ("2 in [1, 2] && 'k' in {'k': 1}", "true"),
        ("true ? 'yes' : 'no'", "yes"),
        ("false && 1 / 0 == 1", "false"),
        ("1 / 0 == 1 || true", "true"),
        ("1 / 0", "fault: division by zero"),
        ("9223372036854775807 + 1", "fault: integer overflow"),
        ("[1, 2, 3].all(x, x > 0)", "true"),
        ("[1, 2, 3].exists(x, x > 2)", "true"),
        ("[1, 2, 3].exists_one(x, x > 2)", "true"),
        ("[1, 2, 3].filter(x, x > 1).map(x, x * 2)", "[4, 6]"),
        ("{'a': 1, 'b': 2}.all(k, k != 'c')", "true"),
        ("[0, 1].exists(x, 1 / x == 1)", "true"),
        ("size('äö') == 2 && [1, 2].size() == 2", "true"),
        ("has(self.a) && !has(self.b)", "true"),
        ("self.b", "fault: no such key: b"),
        ("self.?b.orValue(3)", "3"),
        ("self.?a.hasValue()", "true"),
        ("type(1) == int && type('a') == string", "true"),
        ("int('3') + int(2.9)", "5"),
        ("string(3) + string(true)", "3true"),
        ("nope", "fault: undeclared reference to 'nope'"),
        ("'a' < 1", "fault: found no matching overload for '_<_' applied to '(string, int)'"),
        ("duration('1h30m').getMinutes()", "90"),
        ("timestamp('2026-01-31T12:00:00Z').getDayOfMonth()", "30"),
        ("timestamp('2026-01-31T12:00:00Z') + duration('24h') > timestamp('2026-02-01T00:00:00Z')", "true"),
    ] {
        assert_eq!(eval(source, json!({"a": 1})), expected, "{source}");
    }
}

#[test]
fn the_extensions_of_kubernetes_are_there() {
    for (source, expected) in [
        ("'a-b-c'.split('-').join('+')", "a+b+c"),
        ("'Hello'.lowerAscii().substring(1, 3)", "el"),
        ("'abcabc'.indexOf('c', 3)", "5"),
        ("'%s has %d of %.1f'.format(['a', 2, 1.25])", "a has 2 of 1.2"),
        ("'abc123'.matches('^[a-z]+[0-9]+$')", "true"),
        ("'abc 123'.find('[0-9]+')", "123"),
        ("'1 2 3'.findAll('[0-9]', 2)", "[1, 2]"),
        ("'a'.matches('(')", "fault: error parsing regexp: regex parse error:"),
        ("[1, 2, 3].sum() + [3, 1].min() + [3, 1].max()", "10"),
        ("[1, 2, 2].isSorted() && [1, 2].indexOf(2) == 1", "true"),
        ("sets.contains([1, 2], [1]) && !sets.intersects([1], [2])", "true"),
        ("url('https://example.com:80/a?b=1&b=2').getHostname()", "example.com"),
        ("url('https://example.com:80/a?b=1&b=2').getQuery()['b']", "[1, 2]"),
        ("isURL('nope') || isURL('/path')", "true"),
        ("quantity('1Gi').isGreaterThan(quantity('900Mi'))", "true"),
        ("quantity('1.5').add(quantity('500m')).asInteger()", "2"),
        ("isQuantity('many')", "false"),
        ("ip('10.0.0.1').family() == 4 && isIP('::1')", "true"),
        (
            "cidr('10.0.0.0/8').containsIP('10.2.3.4') && !cidr('10.0.0.0/8').containsCIDR('10.0.0.0/7')",
            "true",
        ),
        ("cidr('10.1.2.3/8').masked()", "10.0.0.0/8"),
        ("ip.isCanonical('::1')", "true"),
        ("math.greatest(1, 2, 3) + math.least([4, 5])", "7"),
        ("math.bitAnd(-1, 12) + math.bitXor(5, 3) + math.bitShiftRight(-1, 63)", "19"),
        ("math.bitOr(4u, 1u) + math.bitShiftLeft(1u, 2) + math.bitShiftLeft(1u, 64)", "9"),
        ("math.bitNot(0u)", "18446744073709551615"),
        ("math.bitAnd(1u, 1)", "fault: found no matching overload for 'math.bitAnd'"),
        ("math.sqrt(9u)", "3"),
        ("base64.encode(b'hello')", "aGVsbG8="),
        ("base64.decode('aGVsbG8=') == base64.decode('aGVsbG8')", "true"),
        ("optional.ofNonZeroValue('').orValue('none')", "none"),
        ("[1, 2, 2, 3].distinct().size()", "3"),
    ] {
        let found = eval(source, json!({}));
        assert!(found.starts_with(expected), "{source}: {found}");
    }
}

#[test]
fn no_expression_costs_more_than_its_budget() {
    let list = "[0,1,2,3,4,5,6,7,8,9]";
    let nested =
        (0..12).fold("x0 > 0".to_string(), |inner, depth| format!("{list}.all(x{depth}, {inner} || true)"));
    assert_eq!(eval(&nested, json!({})), "fault: budget");
    let doubled = (0..40).fold("'0123456789'".to_string(), |text, _| format!("[{text}].map(x, x + x)[0]"));
    assert!(
        eval(&doubled, json!({})).contains("fault: budget")
            || eval(&doubled, json!({})).starts_with("no expression")
    );
    let large: Vec<Value> = (0..3000).map(Value::from).collect();
    assert_eq!(eval("self.all(x, self.exists(y, x == y))", json!(large)), "fault: budget");
}

#[test]
fn what_is_too_deep_or_too_long_is_refused() {
    for source in [
        format!("{}1{}", "(".repeat(5000), ")".repeat(5000)),
        "-".repeat(5000) + "1",
        "!".repeat(5000) + "true",
        "[".repeat(3000),
        "a.".repeat(6000) + "a",
        "self".to_string() + &".size()".repeat(2600),
        "1?1:".repeat(4000) + "1",
        "[0].all(x, ".repeat(60) + "true" + &")".repeat(60),
        "[0].map(x, ".repeat(30) + "1" + &")".repeat(30),
        "1+".repeat(7000) + "1",
        "x".repeat(20_000),
    ] {
        let found = eval(&source, json!({}));
        let known = found.starts_with("no expression")
            || found.starts_with("fault")
            || found == "true"
            || found.starts_with("[[");
        assert!(known || found.parse::<i64>().is_ok(), "{}", &found[..found.len().min(300)]);
    }
}

#[test]
fn names_and_types_are_checked_before_evaluation() {
    use crate::custom::schema::Schema;
    let schema = Schema::read(
        &json!({"type": "object", "properties": {"size": {"type": "integer"}, "name": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}}, "x-y": {"type": "boolean"}}}),
    );
    let check = |source: &str| {
        let variables = BTreeMap::from([("self", Declared::Schema(&schema, false))]);
        check(&Program::parse(source)?, &variables, "bool")
    };
    for source in [
        "self.size > 1",
        "self.tags.all(t, t.startsWith('a'))",
        "has(self.name) && self.x__dash__y",
        "self.size == 1.0 || true",
    ] {
        assert_eq!(check(source).err().filter(|_| !source.contains("1.0")), None, "{source}");
    }
    for (source, expected) in [
        ("self.sise > 1", "ERROR: <input>:1:5: undefined field 'sise'\n | self.sise > 1\n | ....^"),
        ("self.size + 1", "must evaluate to a bool"),
        ("self.size == 'a'", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("self.size.x == 1", "type 'int' does not support field selection"),
        ("other == 1", "undeclared reference to 'other' (in container '')"),
        ("frobnicate(self.size)", "undeclared reference to 'frobnicate' (in container '')"),
        ("self.size.all(x, true)", "cannot be range of a comprehension"),
        ("self.size >", "Syntax error"),
    ] {
        let found = check(source).unwrap_err();
        assert!(found.contains(expected), "{source}: {found}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_evaluated_within_bounds(source in r#"[ a-z0-9.()\[\]{},'"+*/<>=!&|?:-]{0,40}"#) {
        let _ = eval(&source, json!({"a": [1, "b", {"c": null}]}));
    }

    #[test]
    fn grown_expressions_do_not_panic(
        parts in prop::collection::vec(prop::sample::select(vec![
            "self", ".a", ".size()", "[0]", " + ", " == ", "1", "-1", "'x'", ".matches('x')", ".map(v, v)", ".all(v, v == 1)",
            ".substring(1)", ".replace('', 'y')", " ? 1 : 2", "?.b", "[?1]", ".split('')", "duration('1s')", "9223372036854775807",
            ".format([1])", "'%'", "%", "cidr('::/0')", "(", ")", "math.bitShiftLeft(1, 64)", "-9223372036854775808",
        ]), 0..9)
    ) {
        let _ = eval(&parts.concat(), json!({"a": [1, "b", {"c": null}]}));
    }
}

#[test]
fn versions_formats_and_two_variables() {
    for (source, expected) in [
        ("semver('1.2.3').isLessThan(semver('1.10.0'))", "true"),
        ("semver('1.0.0-alpha').compareTo(semver('1.0.0'))", "-1"),
        ("semver('1.0.0+a') == semver('1.0.0+b')", "true"),
        ("[semver('4.5.6').major(), semver('4.5.6').minor(), semver('4.5.6').patch()]", "[4, 5, 6]"),
        ("isSemver('v1.0') || isSemver('01.0.0') || isSemver('1.0')", "false"),
        ("isSemver('v1.0', true)", "true"),
        ("semver('v01.02', true) == semver('1.2.0')", "true"),
        ("isSemver('1-rc.1', true)", "false"),
        ("semver('200K').major()", "fault: \"200K\" is no semantic version: "),
        ("format.dns1123Label().validate('my-name').hasValue()", "false"),
        ("format.dns1123Label().validate('My').value()[0].contains('RFC 1123 label')", "true"),
        ("format.named('uuid').value().validate('x').value()", "[does not match the UUID format]"),
        ("format.named('none').hasValue()", "false"),
        ("format.dns1035LabelPrefix().validate('a-').hasValue()", "false"),
        ("format.date().validate('2026-02-30').hasValue()", "true"),
        ("[1, 2].all(i, v, v == i + 1)", "true"),
        ("{'a': 1}.exists(k, v, k == 'a' && v == 1)", "true"),
        ("[1, 1].existsOne(i, v, v == 1)", "false"),
        ("[5, 6].transformList(i, v, i * v)", "[0, 6]"),
        ("[5, 6].transformList(i, v, i > 0, v)", "[6]"),
        ("{'a': 1}.transformMap(k, v, v + 1) == {'a': 2}", "true"),
        ("[5, 6].transformMap(i, v, v) == {0: 5, 1: 6}", "true"),
        ("['a', 'b'].transformMapEntry(i, v, {v: i}) == {'a': 0, 'b': 1}", "true"),
        ("['a', 'a'].transformMapEntry(i, v, {v: i})", "fault: insert failed: key 'a' already exists"),
        ("[1].all(1, v, true)", "no expression: "),
    ] {
        let found = eval(source, json!({}));
        assert!(
            found == expected || expected.ends_with(": ") && found.starts_with(expected),
            "{source}: {found}"
        );
    }
}
