package lint

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/assay-dev/assay/rego/cip"
)

func parse(t *testing.T, text string) cip.Glob {
	t.Helper()
	glob, err := cip.ParseGlob(text)
	if err != nil {
		t.Fatal(err)
	}
	return glob
}

func TestWitness(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("0", 64)
	for _, tt := range []struct {
		name, glob string
		want       verdict
	}{
		{"GLOB-4: a tag", "ghcr.io/acme/app:v1", unreachable},
		{"GLOB-4: any tag", "ghcr.io/acme/app:*", unreachable},
		{"GLOB-4: the repository alone", "ghcr.io/acme/app", unreachable},
		{"GLOB-4: a tag and a digest", "ghcr.io/acme/app:v1@sha256:" + zeros, unreachable},
		{"GLOB-4: a star takes the digest", "ghcr.io/acme/app*", reachable},
		{"GLOB-4: any digest", "ghcr.io/acme/app@*", reachable},
		{"a digest", "ghcr.io/acme/app@sha256:" + zeros, reachable},
		{"a digest that is too short", "ghcr.io/acme/app@sha256:" + zeros[1:], unreachable},
		{"a digest that is too long", "ghcr.io/acme/app@sha256:" + zeros + "0", unreachable},
		{"a digest in upper case", "ghcr.io/acme/app@sha256:" + strings.Repeat("A", 64), unreachable},
		{"the end of a digest", "**abc", reachable},
		{"what is in no digest", "**xyz", unreachable},
		{"GLOB-6: the alias of Docker Hub", "docker.io/**", unreachable},
		{"Docker Hub", "index.docker.io/**", reachable},
		{"Docker Hub on a port", "index.docker.io:443/app@*", reachable},
		{"the alias on a port is another host", "docker.io:443/**", reachable},
		{"Docker Hub without a namespace", "index.docker.io/nginx@*", unreachable},
		{"Docker Hub with one", "index.docker.io/library/nginx@*", reachable},
		{"a namespace or none", "index.docker.io/nginx**", reachable},
		{"GLOB-3: official images", "*", reachable},
		{"GLOB-3: images of Docker Hub", "*/*", reachable},
		{"a short name", "nginx*", unreachable},
		{"a short name with a path", "acme/app*", unreachable},
		{"a word as a host", "registry/app@*", unreachable},
		{"the word that is a host", "localhost/app@*", reachable},
		{"a word with a port", "registry:5000/app@*", reachable},
		{"a host in upper case", "GHCR.io/acme/**", reachable},
		{"a repository in upper case", "ghcr.io/Acme/**", unreachable},
		{"a star does not reach the host's end", "*app", unreachable},
		{"everything", "**", reachable},
		{"three stars", "***", reachable},
		{"any host", "*/app@*", reachable},
		{"half a host", "ghcr**", reachable},
		{"two digests", "ghcr.io/app@*@*", unreachable},
		{"a port that is none", "ghcr.io:x/app@*", unreachable},
		{"a repository of 255", "ghcr.io/" + strings.Repeat("a", 255) + "@*", reachable},
		{"a repository of 256", "ghcr.io/" + strings.Repeat("a", 256) + "@*", unreachable},
		{"256 letters that may be a host", "**" + strings.Repeat("a", 256) + "/**", reachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			glob := parse(t, tt.glob)
			proof, got := new(prover).witness(glob)
			if got != tt.want {
				t.Fatalf("%s: got verdict %d (%s), want %d", tt.glob, got, proof, tt.want)
			}
			if got == reachable {
				checkProof(t, proof, glob)
			}
		})
	}
}

// checkProof holds a name to the parser of names and to the matcher of globs.
func checkProof(t *testing.T, proof string, globs ...cip.Glob) {
	t.Helper()
	digest, err := name.NewDigest(proof)
	if err != nil || digest.Name() != proof {
		t.Fatalf("witness %s: got name %s and error %v, want the same name", proof, digest.Name(), err)
	}
	for _, glob := range globs {
		if ok, err := glob.Match(proof); err != nil || !ok {
			t.Errorf("witness %s: got no match by %s (%v), want one", proof, glob, err)
		}
	}
}

func TestWitnessOfTwo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, a, b string
		want       verdict
	}{
		{"one within the other", "ghcr.io/**", "ghcr.io/acme/app@*", reachable},
		{"two registries", "ghcr.io/**", "quay.io/**", unreachable},
		{"crossing", "*/acme/**", "ghcr.io/**", reachable},
		{"two ends", "**@sha256:**a", "**@sha256:**b", unreachable},
		{"neighbours", "ghcr.io/acme/app@*", "ghcr.io/acme/app/**", unreachable},
		{"neighbours of a star", "ghcr.io/acme/app*", "ghcr.io/acme/app-evil@*", reachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, b := parse(t, tt.a), parse(t, tt.b)
			proof, got := new(prover).witness(a, b)
			if got != tt.want {
				t.Fatalf("got verdict %d (%s), want %d", got, proof, tt.want)
			}
			if got == reachable {
				checkProof(t, proof, a, b)
			}
		})
	}
}

// TestWitnessIsBounded searches for what the longest globs allow.
func TestWitnessIsBounded(t *testing.T) {
	t.Parallel()
	p := new(prover)
	for _, text := range []string{strings.Repeat("*a", 512), strings.Repeat("a", 1024), "ghcr.io/" + strings.Repeat("*-", 500)} {
		glob, before := parse(t, text), p.taken
		proof, got := p.witness(glob)
		if steps := p.taken - before; steps > mostSteps+len(text)+50 {
			t.Errorf("%.20s…: got %d steps, want at most %d", text, steps, mostSteps)
		}
		if got == reachable {
			checkProof(t, proof, glob)
		}
	}
	p.taken = mostStepsOfRun
	if proof, got := p.witness(parse(t, "ghcr.io/acme/app@*")); got != unknown {
		t.Errorf("after all steps of a run: got verdict %d (%s), want none", got, proof)
	}
}

func BenchmarkWitness(b *testing.B) {
	for _, text := range []string{"ghcr.io/acme/app@*", "ghcr.io/acme/app:v1", "**"} {
		glob, err := cip.ParseGlob(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(text, func(b *testing.B) {
			p := new(prover)
			for b.Loop() {
				p.taken = 0
				p.witness(glob)
			}
			b.ReportMetric(float64(p.taken), "steps/op")
		})
	}
}

// TestWitnessAgainstBruteForce makes globs of names by putting stars into them
// and letters out of place, and asks the matcher about many names.
func TestWitnessAgainstBruteForce(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(words ...string) string { return words[random.IntN(len(words))] }
	names := make([]string, 100)
	for i := range names {
		hex := make([]byte, 64)
		for j := range hex {
			hex[j] = pick("0", "a", "f", "7")[0]
		}
		repository := pick("a", "a/b", "library/a", "a-b/c", "ab")
		host := pick("a.b", "localhost", "a:5", "index.docker.io", "docker.io:5", "a.b:5")
		if host == "index.docker.io" && !strings.Contains(repository, "/") {
			repository = "library/" + repository
		}
		names[i] = host + "/" + repository + "@sha256:" + string(hex)
	}
	reached := 0
	for range 1500 {
		text := names[random.IntN(len(names))]
		for range 1 + random.IntN(3) {
			i := random.IntN(len(text))
			j := i + random.IntN(len(text)-i)
			text = text[:i] + pick("*", "**", "", "a", "/", ":", "@", ".") + text[j:]
			if text == "" {
				text = "*"
			}
		}
		glob := parse(t, text)
		proof, got := new(prover).witness(glob)
		switch got {
		case reachable:
			reached++
			checkProof(t, proof, glob)
		case unreachable:
			for _, image := range names {
				if ok, _ := glob.Match(image); ok {
					t.Fatalf("%s: got unreachable, but it matches %s", text, image)
				}
			}
		default:
			t.Errorf("%s: got no verdict, want one", text)
		}
	}
	if reached < 150 || reached > 1350 {
		t.Errorf("got %d of 1500 reachable, want a mixture", reached)
	}
}

// FuzzWitness lets the fuzzer find a name that an unreachable glob matches, or a
// proof that does not match.
func FuzzWitness(f *testing.F) {
	zeros := strings.Repeat("0", 64)
	for _, glob := range []string{"**", "*/*", "ghcr.io/acme/app*", "docker.io/**", "nginx:*", "a:/**", ":**", "*a**@s*"} {
		f.Add(glob, "ghcr.io/acme/app@sha256:"+zeros)
		f.Add(glob, ":/-@sha256:"+zeros)
		f.Add(glob, "a_.-:/..//@sha256:"+zeros)
	}
	f.Fuzz(func(t *testing.T, text, image string) {
		glob, err := cip.ParseGlob(text)
		if err != nil || len(text) > 200 {
			return
		}
		proof, got := new(prover).witness(glob)
		if got == reachable {
			checkProof(t, proof, glob)
		}
		digest, err := name.NewDigest(image)
		if err != nil || digest.Name() != image || !strings.HasPrefix(digest.DigestStr(), algorithm) {
			return
		}
		if ok, err := glob.Match(image); got == unreachable && ok && err == nil {
			t.Fatalf("%s: got unreachable, but it matches %s", text, image)
		}
	})
}
