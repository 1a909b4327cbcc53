# What the tests of the library start from: answers of builtins.
package assay.lib.given_test

# An answer of cosign.attestations with statements.
attested(statements) := {
	"ok": true,
	"attestations": [{"statement": statement} | some statement in statements],
	"error": null,
}

# The statement of a predicate.
statement(type, predicate) := {
	"_type": "https://in-toto.io/Statement/v1",
	"subject": [{"name": "app", "digest": {"sha256": "aa"}}],
	"predicateType": type,
	"predicate": predicate,
}

# An answer that is none.
refused := {
	"ok": false,
	"attestations": [],
	"value": null,
	"error": {"code": "not_found", "message": "nothing there"},
}
