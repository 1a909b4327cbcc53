package suite

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/storage"
)

// BenchmarkCases is what `assay test` does with five hundred cases, each of another
// image with a signature of its own: certificate, log entry and SCT are verified for
// each, and no verdict serves twice. Making the world and the policy set is told
// apart, since a run does it once.
func BenchmarkCases(b *testing.B) {
	const cases = 500
	dir := unpacked(b, manyCases(cases))
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			if code := prepared(b, dir).once(b.Context()); code != exitPassed {
				b.Fatalf("got code %d", code)
			}
		}
		b.ReportMetric(float64(cases*b.N)/b.Elapsed().Seconds(), "cases/s")
	})
	b.Run("verification", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			s := prepared(b, dir)
			found, err := s.load()
			if err != nil {
				b.Fatal(err)
			}
			r := &run{found: found}
			if r.stage, err = newStage(b.Context(), found); err != nil {
				b.Fatal(err)
			}
			if r.questions, err = r.stage.questions(b.Context(), found.fixtures); err != nil {
				b.Fatal(err)
			}
			txn := storage.NewTransactionOrDie(b.Context(), found.store, storage.WriteParams)
			runner, reporter, err := s.runner(b.Context(), found, r, txn)
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			code, err := s.report(context.WithValue(b.Context(), runKey{}, r), runner, reporter, txn)
			if code != exitPassed || err != nil {
				b.Fatalf("got code %d and %v", code, err)
			}
			b.StopTimer()
			found.store.Abort(b.Context(), txn)
			_ = r.close()
			b.StartTimer()
		}
		b.ReportMetric(float64(cases*b.N)/b.Elapsed().Seconds(), "cases/s")
	})
}

// prepared is a run of the tests in a directory.
func prepared(t testing.TB, args ...string) *settings {
	t.Helper()
	cmd := Command()
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	s, err := read(cmd.Flags(), cmd.Flags().Args(), io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// manyCases is a policy and a fixture with as many images, every tenth of them unsigned.
func manyCases(n int) string {
	var images, cases strings.Builder
	for i := range n {
		signatures, want := "[{signer: release}]", "allowed"
		if i%10 == 9 {
			signatures, want = "[]", "denied"
		}
		fmt.Fprintf(&images, "    app-%d: {repository: acme/app-%d, signatures: %s}\n", i, i, signatures)
		fmt.Fprintf(&cases, "  - {name: app %d, image: \"${app-%d}\", want: %s}\n", i, i, want)
	}
	return `
-- policy.yaml --
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: released-by-acme}
spec:
  images: [{glob: "ghcr.io/acme/**"}]
  authorities:
    - keyless:
        identities: [{issuer: https://token.actions.githubusercontent.com, subjectRegExp: "^https://github.com/acme/app/.*"}]
      ctlog: {url: https://rekor.sigstore.dev}
-- many_test.yaml --
world:
  registry: ghcr.io
  signers:
    release:
      issuer: https://token.actions.githubusercontent.com
      subject: https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1
  images:
` + images.String() + "cases:\n" + cases.String()
}
