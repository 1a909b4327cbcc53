package suite

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"
	"github.com/open-policy-agent/opa/cmd/formats"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/tester"
)

// reporter is the one that `opa test` has for the flags, or the one for JUnit. The
// modules are those that coverage is reported of: what was loaded, not what
// policies are compiled to.
func (s *settings) reporter(modules map[string]*ast.Module, coverage *cover.Cover) tester.Reporter {
	switch {
	case s.coverage:
		return tester.JSONCoverageReporter{Cover: coverage, Modules: modules, Output: s.output, Threshold: s.threshold, Verbose: s.verbose}
	case s.format == formatJUnit:
		return junitReporter{s.output}
	case s.format == formats.JSON:
		return tester.JSONReporter{Output: s.output, Sort: s.sort}
	}
	if s.sort != formats.SortNone {
		fmt.Fprintln(s.errors, "warning: --sort is only supported with JSON format")
	}
	return tester.PrettyReporter{
		Verbose: s.verbose, Output: s.output,
		BenchmarkResults: s.bench, BenchMarkShowAllocations: s.benchmem, BenchMarkGoBenchFormat: s.format == formats.GoBench,
		FailureLine: s.varValues, LocalVars: s.varValues,
	}
}

// junitReporter writes what CI systems read: a suite for each package of Rego and for
// each fixture, a test case for each test, or for each row of a table of tests.
type junitReporter struct{ output io.Writer }

// Report implements tester.Reporter.
func (r junitReporter) Report(results chan *tester.Result) error {
	suites := map[string][]*tester.Result{}
	for result := range results {
		suites[result.Package] = append(suites[result.Package], result)
	}
	var out junit.Testsuites
	for i, name := range sorted(suites) {
		out.AddSuite(suiteOf(i, name, suites[name]))
	}
	return out.WriteXML(r.output)
}

func suiteOf(id int, name string, results []*tester.Result) junit.Testsuite {
	slices.SortFunc(results, func(a, b *tester.Result) int {
		if a.Location != nil && b.Location != nil && a.Location.Row != b.Location.Row {
			return a.Location.Row - b.Location.Row
		}
		return strings.Compare(a.Name, b.Name)
	})
	suite := junit.Testsuite{ID: id, Name: name, Package: name}
	var total time.Duration
	for _, result := range results {
		total += result.Duration
		if suite.File == "" && result.Location != nil {
			suite.File = result.Location.File
		}
		for _, c := range casesOf(result) {
			suite.AddTestcase(c)
		}
	}
	suite.Time = seconds(total)
	return suite
}

func casesOf(result *tester.Result) []junit.Testcase {
	c := junit.Testcase{Name: result.Name, Classname: result.Package, Time: seconds(result.Duration)}
	said := strings.TrimSpace(string(result.Output))
	if result.Location != nil {
		said = strings.TrimSpace(fmt.Sprintf("%s:%d\n%s", result.Location.File, result.Location.Row, said))
	}
	var rows []junit.Testcase
	for path, row := range result.SubResults.Iter {
		if len(row.SubResults) > 0 {
			continue
		}
		one := junit.Testcase{Name: c.Name + "/" + strings.Join(path, "/"), Classname: c.Classname}
		if row.Fail {
			one.Failure = &junit.Result{Message: "FAIL", Data: said}
		}
		rows = append(rows, one)
	}
	switch {
	case result.Skip:
		c.Skipped = &junit.Result{Message: "todo"}
	case result.Error != nil:
		c.Error = &junit.Result{Message: result.Error.Error(), Data: said}
	case len(rows) > 0:
		return rows
	case result.Fail:
		c.Failure = &junit.Result{Message: "FAIL", Data: said}
	case len(result.Output) > 0:
		c.SystemOut = &junit.Output{Data: string(result.Output)}
	}
	return []junit.Testcase{c}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }
