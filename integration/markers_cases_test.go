package integration

// markerCases are the cases. What is not named in one is left at zero.
var markerCases = []markerCase{
	{name: "of an unknown producer", steps: []markerStep{ends{{id: 7, at: in(0)}}, ends{{id: 7, abort: true, at: in(0, 1)}}}},
	{name: "of a transaction", steps: []markerStep{
		opened{"T", 0, 7, 0, 0},
		opened{"T", 1, 7, 0, 0},
		ends{{id: 7, coordinator: 3, at: in(0, 1)}},
		opened{"T", 0, 7, 0, 1},
		ends{{id: 7, coordinator: 3, abort: true, at: in(0)}},
	}},
	{name: "partition twice", answer: "answer: 7: T-0 error 0", kafka: unanswered, steps: []markerStep{
		opened{"T", 0, 7, 0, 0},
		ends{{id: 7, at: in(0, 0)}},
	}},
	{name: "topic twice", answer: "answer: 7: T-0 error 0, 7: T-1 error 0", kafka: unanswered, steps: []markerStep{
		opened{"T", 0, 7, 0, 0},
		ends{{id: 7, at: []endAt{{"T", []int32{0}}, {"T", []int32{1, 0}}}}},
	}},
	{name: "unknown partition twice", steps: []markerStep{ends{{id: 7, at: []endAt{{"nope", []int32{0, 0}}, {"T", []int32{0}}}}}}},
	{name: "producer twice, both outcomes", steps: []markerStep{
		opened{"T", 0, 7, 0, 0},
		ends{{id: 7, at: in(0)}, {id: 7, abort: true, at: in(0)}},
	}},
	{name: "producer twice, two epochs", steps: []markerStep{
		opened{"T", 0, 7, 0, 0},
		ends{{id: 7, epoch: 1, at: in(0)}, {id: 7, abort: true, at: in(0)}},
	}},
	{name: "producer twice, two partitions", steps: []markerStep{
		opened{"T", 0, 7, 0, 0},
		ends{{id: 7, at: in(0)}, {id: 7, at: in(1)}},
	}},
	{name: "two producers", steps: []markerStep{
		opened{"T", 0, 7, 0, 0},
		opened{"T", 0, 8, 0, 0},
		ends{{id: 8, at: in(0)}, {id: 7, abort: true, at: in(0)}},
	}},
	{name: "producer -1", steps: []markerStep{ends{{id: -1, at: in(0)}}}},
	{name: "producer -1 and -2 with epoch -1", steps: []markerStep{
		ends{{id: -1, epoch: -1, at: in(0)}},
		ends{{id: -2, epoch: -1, at: in(0)}},
	}},
	{name: "producer -2", steps: []markerStep{ends{{id: -2, at: in(0)}}}},
	{name: "epoch -2", steps: []markerStep{ends{{id: 7, epoch: -2, at: in(0)}}}},
	{name: "producer -1 in no partition", steps: []markerStep{
		ends{{id: -1, at: []endAt{{"nope", []int32{0}}}}, {id: 7, at: in(0)}},
	}},
	{name: "producer -1, then another", steps: []markerStep{ends{{id: -1, at: in(0)}, {id: 7, at: in(0, 1)}}}},
	{name: "epoch -1", steps: []markerStep{ends{{id: 7, epoch: -1, at: in(0)}}}},
	{name: "epochs", steps: []markerStep{
		opened{"T", 0, 7, 3, 0},
		ends{{id: 7, epoch: 2, at: in(0)}},
		ends{{id: 7, epoch: 5, at: in(0)}},
		opened{"T", 0, 7, 3, 1},
		opened{"T", 0, 7, 5, 0},
		ends{{id: 7, epoch: 5, at: in(0)}},
	}},
	{name: "coordinator epochs", steps: []markerStep{
		opened{"T", 0, 7, 0, 0}, ends{{id: 7, coordinator: 5, at: in(0)}}, opened{"T", 0, 7, 0, 1}, ends{{id: 7, coordinator: 4, at: in(0)}},
		ends{{id: 7, coordinator: -1, at: in(0)}}, ends{{id: 7, coordinator: 6, at: in(0)}}, ends{{id: 7, coordinator: 6, at: in(0)}},
	}},
	{name: "coordinator epoch -1", steps: []markerStep{
		opened{"T", 0, 7, 0, 0},
		ends{{id: 7, coordinator: -1, at: in(0)}},
		ends{{id: 7, coordinator: -2, at: in(0)}},
	}},
	{name: "coordinator epoch lower in one of two partitions", steps: []markerStep{
		ends{{id: 7, coordinator: 5, at: in(0)}},
		ends{{id: 7, coordinator: 4, at: in(0, 1)}},
	}},
	{name: "unknown topic", steps: []markerStep{ends{{id: 7, at: []endAt{{"nope", []int32{0}}}}}}},
	{name: "unknown partition", steps: []markerStep{ends{{id: 7, at: in(99, -1)}}}},
	{name: "unknown and known", steps: []markerStep{ends{{id: 7, at: []endAt{{"nope", []int32{0}}, {"T", []int32{0, 99}}}}}}},
	{name: "names that no topic has", steps: []markerStep{
		ends{{id: 7, at: []endAt{{"", []int32{0}}, {"a b", []int32{0}}, {"..", []int32{1}}}}},
	}},
	{name: "led by another broker", steps: []markerStep{ends{{id: 7, at: []endAt{{"E", []int32{0}}, {"T", []int32{0}}}}}}},
	{name: "unknown, then known", steps: []markerStep{ends{{id: 7, at: []endAt{{"nope", []int32{0}}}}, {id: 8, at: in(0)}}}},
	{name: "known, then unknown", answer: "answer: 7: T-0 error 0, 8: nope-0 error 3", kafka: unanswered, steps: []markerStep{
		ends{{id: 7, at: in(0)}, {id: 8, at: []endAt{{"nope", []int32{0}}}}},
	}},
	{name: "no markers", steps: []markerStep{ends{}}},
	{name: "no topics", steps: []markerStep{ends{{id: 7}}}},
	{name: "no partitions", steps: []markerStep{ends{{id: 7, at: in()}}}},
	{name: "no topics, then a marker", steps: []markerStep{ends{{id: 7}, {id: 8, at: in(0)}}}},
	{name: "a marker, then no topics", answer: "answer: 8: T-0 error 0", kafka: unanswered, steps: []markerStep{
		ends{{id: 8, at: in(0)}, {id: 7}},
	}},
	{name: "compacted", compacted: true, steps: []markerStep{
		opened{"C", 0, 7, 0, 0},
		ends{{id: 7, at: []endAt{{"C", []int32{0}}}}},
		ends{{id: 7, abort: true, at: []endAt{{"C", []int32{0}}}}},
	}},
}
