package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/world"
)

// TestMain lets scripts run the test binary as the program under test.
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"assay": replayed})
}

// tests registers the builtins for the tests that call the program's functions;
// main does it for itself.
type tests struct{ *testing.M }

func (t tests) Run() int {
	builtins.Register()
	return t.M.Run()
}

// TestScripts are stories of the binary as its user meets it. Beside what every
// testscript has, they may say:
//
//	world FILE            start the world of a file: its variables ($registry,
//	                      ${app}, ${app@}, …) and trusted_root.json are there then
//	expand FILE…          put the world's variables into files
//	closeworld            close its registry: nobody answers there any more
//	sign SIGNER FILE      sign what the world's registry has under the name in the file
//	trustroot NAME FILE   write the world's root as a TrustRoot resource
//	exits CODE CMD ARG…   run a command that ends with that code
//	opa ARG…              run the upstream binary of OPA
//	stock                 let $OPA be that binary
//	keypair NAME ALG      mint NAME.pem and NAME.pub, of ES256 or RS256
//	pack OUT ENTRY…       write an archive of PATH=FILE, PATH->TARGET and PATH*MEBIBYTES
//	cutfile FILE OUT      write a file without its end
//	flipfile FILE OUT     write a file with a byte changed
//	certificate           mint tls/tls.crt and tls/tls.key
//	serve ARG…            start the webhook with that certificate
//	waitfor REGEXP        wait for a line of its log, later than those awaited before
//	get PATH              ask it, print status and body
//	post PATH FILE        send it a review, print status and body (a patch decoded)
//	terminate             send it SIGTERM, want exit code 0
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(env *testscript.Env) error {
			library, err := filepath.Abs(filepath.Join("..", "..", "rego", "lib"))
			if err != nil {
				return err
			}
			env.Setenv("LIBRARY", library)
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Values[scriptKey{}] = &script{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"world":       command1("FILE", startWorld),
			"expand":      commandN("FILE…", expandFiles),
			"closeworld":  commandN("", closeWorld),
			"sign":        commandN("SIGNER FILE", signPushed),
			"trustroot":   commandN("NAME FILE", writeTrustRoot),
			"exits":       commandN("CODE CMD ARG…", exits),
			"opa":         commandN("ARG…", runStock),
			"stock":       commandN("", setStock),
			"keypair":     commandN("NAME ALG", keyPair),
			"pack":        commandN("OUT ENTRY…", packFile),
			"cutfile":     commandN("FILE OUT", cutFile),
			"flipfile":    commandN("FILE OUT", flipFile),
			"certificate": commandN("", mintCertificate),
			"serve":       commandN("ARG…", startServe),
			"waitfor":     command1("REGEXP", waitFor),
			"get":         command1("PATH", get),
			"post":        commandN("PATH FILE", postFile),
			"terminate":   commandN("", terminate),
			"aged":        commandN("FILE…", ageFiles),
			"chunk":       commandN("FILE DIRECTORY AGE", packChunk),
		},
	})
}

// script is what one story has running.
type script struct {
	world   *world.World
	webhook *daemon
}

type scriptKey struct{}

func scriptOf(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

// commandN makes a script command of a function; none of them can be negated.
func commandN(usage string, run func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("cannot be negated, usage: %s", usage)
		}
		run(ts, args)
	}
}

// command1 makes a script command of a function with one argument.
func command1(usage string, run func(*testscript.TestScript, string)) func(*testscript.TestScript, bool, []string) {
	return commandN(usage, func(ts *testscript.TestScript, args []string) {
		if len(args) != 1 {
			ts.Fatalf("got %d arguments, usage: %s", len(args), usage)
		}
		run(ts, args[0])
	})
}

func startWorld(ts *testscript.TestScript, file string) {
	description, err := world.Parse([]byte(ts.ReadFile(file)))
	ts.Check(err)
	w, err := world.New(description)
	ts.Check(err)
	ts.Defer(func() { _ = w.Close() })
	root, err := w.TrustedRoot()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("trusted_root.json"), root, 0o600))
	names := []string{"registry"}
	for name := range description.Images {
		names = append(names, name, name+"@", "digest:"+name)
	}
	for _, name := range names {
		ts.Setenv(name, w.Expand("${"+name+"}"))
	}
	scriptOf(ts).world = w
}

func signPushed(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: sign SIGNER FILE")
	}
	at := strings.TrimSpace(ts.ReadFile(args[1]))
	ts.Check(scriptOf(ts).world.Sign(at, world.Signature{Signing: world.Signing{Signer: args[0]}}))
}

func closeWorld(ts *testscript.TestScript, _ []string) { ts.Check(scriptOf(ts).world.Close()) }

func expandFiles(ts *testscript.TestScript, files []string) {
	for _, file := range files {
		text := scriptOf(ts).world.Expand(ts.ReadFile(file))
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o600))
	}
}

// certificate is one of trusted_root.json.
type certificate struct {
	RawBytes []byte `json:"rawBytes"`
}

// trustedLog is a log of trusted_root.json.
type trustedLog struct {
	BaseURL   string      `json:"baseUrl"`
	PublicKey certificate `json:"publicKey"`
}

func writeTrustRoot(ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: trustroot NAME FILE")
	}
	data, err := scriptOf(ts).world.TrustedRoot()
	ts.Check(err)
	var trusted struct {
		Tlogs, Ctlogs          []trustedLog
		CertificateAuthorities []struct {
			CertChain struct{ Certificates []certificate }
		}
	}
	ts.Check(json.Unmarshal(data, &trusted))
	chain := []byte{}
	for _, c := range trusted.CertificateAuthorities[0].CertChain.Certificates {
		chain = append(chain, pemOf("CERTIFICATE", c.RawBytes)...)
	}
	logs := func(trusted []trustedLog) (out []any) {
		for _, log := range trusted {
			out = append(out, map[string]any{
				"baseURL": log.BaseURL, "hashAlgorithm": "sha-256", "publicKey": pemOf("PUBLIC KEY", log.PublicKey.RawBytes),
			})
		}
		return out
	}
	resource, err := json.Marshal(map[string]any{
		"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": map[string]any{"name": args[0]},
		"spec": map[string]any{"sigstoreKeys": map[string]any{
			"certificateAuthorities": []any{map[string]any{
				"subject": map[string]any{"organization": "world", "commonName": "world"}, "uri": "https://fulcio.example.com",
				"certChain": chain,
			}},
			"tLogs": logs(trusted.Tlogs), "ctLogs": logs(trusted.Ctlogs),
		}},
	})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), resource, 0o600))
}

// stock is the upstream binary, in the version that the product links. The go command
// builds it from its module once, and keeps it.
var stock = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "tool", "-n", "opa").Output()
	return strings.TrimSpace(string(out)), err
})

func runStock(ts *testscript.TestScript, args []string) {
	program, err := stock()
	ts.Check(err)
	ts.Check(ts.Exec(program, args...))
}

func exits(ts *testscript.TestScript, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE CMD ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var ended *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &ended):
		got = ended.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code: got %d, want %d", got, want)
	}
}
