package suite

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/open-policy-agent/opa/cmd/formats"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/spf13/pflag"
)

// formatJUnit is the one format that OPA does not have.
const formatJUnit = "junit"

// addFlags adds OPA's flags, so that there are no others, and one format more.
func addFlags(ours, theirs *pflag.FlagSet) {
	theirs.VisitAll(func(flag *pflag.Flag) {
		if flag.Name != "format" {
			ours.AddFlag(flag)
		}
	})
	ours.VarP(formats.Flag(formats.Pretty, formats.JSON, formats.GoBench, formatJUnit), "format", "f", "set output format")
}

// settings are the flags of a run, by OPA's names of them.
type settings struct {
	streams
	paths []string

	verbose, coverage, bench, benchmem, bundle, watch    bool
	varValues, exitZeroOnSkipped, failOnEmpty, v0, v1    bool
	filter, format, sort, explain, target, schema, given string
	explained, targeted                                  bool
	threshold                                            float64
	timeout                                              time.Duration
	count, parallel, maxErrors                           int
	ignore, coverageRuns                                 []string

	capabilities *ast.Capabilities // nil for those of this program
}

// read reads the flags after OPA's PreRunE has seen them: that one puts in what the
// environment says and what one flag means for another.
func read(flags *pflag.FlagSet, paths []string, output, errors io.Writer) (*settings, error) {
	r := reader{flags: flags}
	s := &settings{
		streams: streams{output: output, errors: errors}, paths: paths,
		verbose: r.truth("verbose"), coverage: r.truth("coverage"), bench: r.truth("bench"), benchmem: r.truth("benchmem"),
		bundle: r.truth("bundle"), watch: r.truth("watch"), varValues: r.truth("var-values"),
		exitZeroOnSkipped: r.truth("exit-zero-on-skipped"), failOnEmpty: r.truth("fail-on-empty"),
		v0: r.truth("v0-compatible"), v1: r.truth("v1-compatible"),
		filter: r.text("run"), format: r.text("format"), sort: r.text("sort"), explain: r.text("explain"),
		target: r.text("target"), schema: r.text("schema"), given: r.text("capabilities"),
		explained: flags.Changed("explain"), targeted: flags.Changed("target"),
		threshold: get(&r, "threshold", flags.GetFloat64), timeout: get(&r, "timeout", flags.GetDuration),
		count: get(&r, "count", flags.GetInt), parallel: get(&r, "parallel", flags.GetInt), maxErrors: get(&r, "max-errors", flags.GetInt),
		ignore: get(&r, "ignore", flags.GetStringSlice), coverageRuns: get(&r, "coverage-runs", flags.GetStringSlice),
	}
	if r.err != nil {
		return nil, r.err
	}
	s.coverage = s.coverage || s.threshold > 0
	if s.format == formatJUnit && (s.coverage || s.bench) {
		return nil, fmt.Errorf("--format: got %s, which has no place for coverage and benchmarks", formatJUnit)
	}
	var err error
	s.capabilities, err = loadCapabilities(s.given)
	return s, err
}

// reader keeps the first error: a flag that OPA has no more is one.
type reader struct {
	flags *pflag.FlagSet
	err   error
}

func (r *reader) truth(name string) bool { return get(r, name, r.flags.GetBool) }

// text is the value of a flag of any type.
func (r *reader) text(name string) string {
	flag := r.flags.Lookup(name)
	if flag == nil {
		r.err = cmp.Or(r.err, fmt.Errorf("flag %s: got none of that name from OPA", name))
		return ""
	}
	return flag.Value.String()
}

func get[T any](r *reader, name string, from func(string) (T, error)) T {
	value, err := from(name)
	r.err = cmp.Or(r.err, err)
	return value
}

func loadCapabilities(given string) (*ast.Capabilities, error) {
	if given == "" {
		return nil, nil
	}
	out, err := ast.LoadCapabilitiesFile(given)
	if err != nil {
		out, err = ast.LoadCapabilitiesVersion(given)
	}
	if err != nil {
		return nil, fmt.Errorf("--capabilities: no such file or capabilities version found: %s", given)
	}
	return out, nil
}

func (s *settings) regoVersion() ast.RegoVersion {
	switch {
	case s.v0:
		return ast.RegoV0
	case s.v1:
		return ast.RegoV1
	}
	return ast.DefaultRegoVersion
}

// within is the time of one test.
func (s *settings) within() time.Duration {
	if s.bench {
		return 30 * time.Second
	}
	return cmp.Or(s.timeout, 5*time.Second)
}

func (s *settings) kinds() []cover.Kind {
	out := []cover.Kind{}
	for _, run := range s.coverageRuns {
		out = append(out, cover.Kind(run))
	}
	return out
}
