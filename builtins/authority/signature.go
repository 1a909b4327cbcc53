package authority

import (
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/assay-dev/assay/builtins/declare"
)

// Signature is what a signature may have that an authority accepts, as sigstore.Signature writes it. Only id and format are always
// there: a key has no subject, a Rekor v2 entry no integrated time.
func Signature() []declare.Field {
	return []declare.Field{
		declare.Named("id", types.S, "names the signature, SHA-256 in hex"),
		declare.Named("subject", types.S, "of the certificate; absent for keys"),
		declare.Named("issuer", types.S, "of the certificate; absent for keys"),
		declare.Named("extensions", declare.Words(),
			"the other Fulcio extensions of the certificate, by name: `githubWorkflowRepository`, `sourceRepositoryURI`, …"),
		declare.Objects("log", "verified entries of transparency logs; absent when no log was asked for",
			declare.Named("log_id", types.S, "of the log's key, in hex"),
			declare.Named("log_index", types.N, "-1 where nothing that was signed says it"),
			declare.Named("integrated_time", types.S, "when the log promised the entry; absent for Rekor v2"),
		),
		declare.Objects("timestamps", "verified RFC 3161 timestamps",
			declare.Named("uri", types.S, "of the authority, where it is known"),
			declare.Named("time", types.S, "RFC 3339"),
		),
		declare.Named("digest", types.S, "of an attestation's statement as it was signed, `sha256:…`"),
		declare.Named("format", types.S, "`legacy` or `bundle`"),
		declare.Named("weaker", declare.List(types.S), "what was not asked for, compared with identity, log and SCT"),
		declare.Named("predicate_type", types.S, "of an attestation, as the statement has it"),
		declare.Named("statement", types.A, "of an attestation, the whole in-toto statement"),
	}
}
