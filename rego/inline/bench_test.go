package inline_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/assay-dev/assay/rego/inline"
)

// typical is about as long as the policies of the public catalogue are.
const typical = `package sigstore

isCompliant[response] {
	attestationsKeylessATT := input.authorityMatches.keylessatt.attestations
	count(attestationsKeylessATT) == 1
	attestationsKeyATT := input.authorityMatches.keyatt.attestations
	count(attestationsKeyATT) == 1

	keylessSig := input.authorityMatches.keylesssignature.signatures
	count(keylessSig) == 1

	keySig := input.authorityMatches.keysignature.signatures
	count(keySig) == 1

	result = true
	errorMsg = ""
	warnMsg = ""
	response := {
		"result": result,
		"error": errorMsg,
		"warning": warnMsg,
	}
}
`

const small = `{"authorityMatches": {
	"keylessatt": {"attestations": {"a": [{"subject": "s"}]}}, "keyatt": {"attestations": {"a": [{"subject": "s"}]}},
	"keylesssignature": {"signatures": [{"id": "a"}]}, "keysignature": {"signatures": [{"id": "b"}]}}}`

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := inline.Compile(b.Context(), []string{"cip", "p", "policy"}, typical); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvaluate(b *testing.B) {
	module, err := inline.Compile(b.Context(), []string{"cip", "p", "policy"}, typical)
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{
		"small":  small,
		"4 MB":   `{"list": [` + strings.Repeat(`{"name": "package", "versions": [1, 2, 3], "x": null},`, 70_000) + `1]}`,
		"256 KB": `{"list": [` + strings.Repeat(`{"name": "package", "versions": [1, 2, 3], "x": null},`, 4_500) + `1]}`,
	} {
		document := ast.MustParseTerm(text).Value
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, failure := module.Evaluate(b.Context(), document, at()); failure != nil {
					b.Fatal(*failure)
				}
			}
		})
	}
}

// BenchmarkThousand is what a thousand modules keep, distinct and equal.
func BenchmarkThousand(b *testing.B) {
	for name, source := range map[string]func(int) string{
		"distinct": func(i int) string { return typical + fmt.Sprintf("limit = %d\n", i) },
		"equal":    func(int) string { return typical },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				modules := make([]*inline.Module, 1000)
				for i := range modules {
					var err error
					if modules[i], err = inline.Compile(b.Context(), []string{"cip", fmt.Sprint("p", i), "policy"}, source(i)); err != nil {
						b.Fatal(err)
					}
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
				runtime.KeepAlive(modules)
			}
		})
	}
}
