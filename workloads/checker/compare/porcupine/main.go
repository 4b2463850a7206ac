// Checks native histories with Porcupine, and prints for each its name, the verdict and how many seconds the check took, reading left
// out; the shortest of as many checks as fit into a tenth of a second. The example `times` of the checker prints the same.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

// For how long a check is repeated, and how long one may take.
const repeated = 100 * time.Millisecond
const timeMax = 60 * time.Second

// A line of a native history.
type record struct {
	Process json.RawMessage
	Type    string
	F       string
	Key     json.RawMessage
	Value   json.RawMessage
}

type call struct {
	f, key   string
	old, new number
	text     string
}

// What a call returned; not known where it timed out.
type result struct {
	known, swapped bool
	value          number
	text           string
}

// A register's value; not some where it is nil.
type number struct {
	some  bool
	value int64
}

func (n *number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	n.some = true
	return json.Unmarshal(text, &n.value)
}

func byKey(history []porcupine.Event) [][]porcupine.Event {
	places, keys := map[string]int{}, map[int]int{}
	var parts [][]porcupine.Event
	for _, event := range history {
		if event.Kind == porcupine.CallEvent {
			key := event.Value.(call).key
			if _, met := places[key]; !met {
				places[key] = len(parts)
				parts = append(parts, nil)
			}
			keys[event.Id] = places[key]
		}
		part := keys[event.Id]
		parts[part] = append(parts[part], event)
	}
	return parts
}

var casRegister = porcupine.Model{
	PartitionEvent: byKey,
	Init:           func() interface{} { return number{} },
	Step: func(state, input, output interface{}) (bool, interface{}) {
		now, in, out := state.(number), input.(call), output.(result)
		switch in.f {
		case "read":
			return !out.known || out.value == now, now
		case "write":
			return true, in.new
		default:
			matches := in.old == now
			if out.known && out.swapped != matches {
				return false, now
			}
			if matches {
				return true, in.new
			}
			return true, now
		}
	},
	Hash: func(state interface{}) uint64 {
		now := state.(number)
		if !now.some {
			return 1
		}
		return uint64(now.value)*0x9e3779b97f4a7c15 + 2
	},
}

var kvAppend = porcupine.Model{
	PartitionEvent: byKey,
	Init:           func() interface{} { return "" },
	Step: func(state, input, output interface{}) (bool, interface{}) {
		now, in, out := state.(string), input.(call), output.(result)
		switch in.f {
		case "get":
			return !out.known || out.text == now, now
		case "put":
			return true, in.text
		default:
			return true, now + in.text
		}
	},
	Hash: func(state interface{}) uint64 {
		hash := fnv.New64a()
		hash.Write([]byte(state.(string)))
		return hash.Sum64()
	},
}

func read(path string) ([]porcupine.Event, porcupine.Model) {
	file := try(os.Open(path))
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	lines.Scan() // The header.
	model := casRegister
	var events []porcupine.Event
	calls := []call{}
	open, failed := map[string]int{}, map[int]bool{}
	for lines.Scan() {
		var line record
		must(json.Unmarshal(lines.Bytes(), &line))
		process := string(line.Process)
		if line.Type == "invoke" {
			in := call{f: line.F, key: string(line.Key)}
			switch line.F {
			case "read", "get":
			case "write":
				must(json.Unmarshal(line.Value, &in.new))
			case "cas":
				must(json.Unmarshal(line.Value, &[]interface{}{&in.old, &in.new}))
			case "put", "append":
				must(json.Unmarshal(line.Value, &in.text))
			default:
				panic("there is no model for " + line.F)
			}
			if line.F == "get" || line.F == "put" || line.F == "append" {
				model = kvAppend
			}
			open[process] = len(calls)
			events = append(events, porcupine.Event{Kind: porcupine.CallEvent, Value: in, Id: len(calls)})
			calls = append(calls, in)
			continue
		}
		id, isOpen := open[process]
		if !isOpen || line.Type == "info" {
			continue
		}
		delete(open, process)
		if line.Type == "fail" {
			failed[id] = true
			continue
		}
		out := result{known: true}
		switch calls[id].f {
		case "read":
			must(json.Unmarshal(line.Value, &out.value))
		case "cas":
			must(json.Unmarshal(line.Value, &out.swapped))
		case "get":
			must(json.Unmarshal(line.Value, &out.text))
		}
		events = append(events, porcupine.Event{Kind: porcupine.ReturnEvent, Value: out, Id: id})
	}
	must(lines.Err())
	return closed(events, failed), model
}

// What has not returned may take effect until the end; a read that has not says nothing, and neither does what failed.
func closed(events []porcupine.Event, failed map[int]bool) []porcupine.Event {
	returned := map[int]bool{}
	for _, event := range events {
		if event.Kind == porcupine.ReturnEvent {
			returned[event.Id] = true
		}
	}
	var kept, ends []porcupine.Event
	for _, event := range events {
		if event.Kind == porcupine.CallEvent && !returned[event.Id] {
			if in := event.Value.(call); failed[event.Id] || in.f == "read" || in.f == "get" {
				continue
			}
			ends = append(ends, porcupine.Event{Kind: porcupine.ReturnEvent, Value: result{}, Id: event.Id})
		}
		kept = append(kept, event)
	}
	return append(kept, ends...)
}

func main() {
	verdicts := map[porcupine.CheckResult]string{porcupine.Ok: "valid", porcupine.Illegal: "violation", porcupine.Unknown: "unknown"}
	for _, path := range os.Args[1:] {
		events, model := read(path)
		shortest, begun := timeMax*2, time.Now()
		var verdict porcupine.CheckResult
		for first := true; first || time.Since(begun) < repeated; first = false {
			each := time.Now()
			verdict = porcupine.CheckEventsTimeout(model, events, timeMax)
			if took := time.Since(each); took < shortest {
				shortest = took
			}
		}
		fmt.Printf("%s\t%s\t%.9f\n", path, verdicts[verdict], shortest.Seconds())
	}
}

func try[T any](value T, err error) T {
	must(err)
	return value
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
