%% Pairs of processes that throw messages to each other, as Caxton's agents do: each message names its
%% sender, carries 200 bytes of content and how often it may still be returned, and each process looks
%% its receiver up by name in an ETS table for every message it sends.
%%
%%   erl ... -run bounce main PAIRS BALLS HOPS WAVES WARM_UP_WAVES
%%
%% prints one line: messages, wall time and processor time of all threads, both in microseconds, of
%% the waves after the warm-up.
-module(bounce).
-export([main/1]).

-define(NAMES, names).

main(Arguments) ->
    [Pairs, Balls, Hops, Waves, WarmUp] = [list_to_integer(A) || A <- Arguments],
    ?NAMES = ets:new(?NAMES, [named_table, public, set, {read_concurrency, true}]),
    Driver = self(),
    [player(name(Index), Driver) || Index <- lists:seq(0, 2 * Pairs - 1)],
    Content = list_to_binary([$a + (At rem 26) || At <- lists:seq(0, 199)]),
    waves(WarmUp, Pairs, Balls, Hops, Content),
    {Cpu0, Wall0} = now_us(),
    waves(Waves, Pairs, Balls, Hops, Content),
    {Cpu1, Wall1} = now_us(),
    Messages = Waves * Pairs * Balls * (Hops + 1),
    io:format("~b ~b ~b~n", [Messages, Wall1 - Wall0, Cpu1 - Cpu0]),
    halt(0).

%% statistics(runtime) is the processor time of all the VM's threads, in milliseconds.
now_us() ->
    {Cpu, _} = erlang:statistics(runtime),
    {Cpu * 1000, erlang:monotonic_time(microsecond)}.

name(Index) ->
    iolist_to_binary(["player-", integer_to_list(Index), "@default"]).

player(Name, Driver) ->
    Pid = spawn_link(fun() -> play(Name, Driver) end),
    true = ets:insert(?NAMES, {Name, Pid}).

play(Name, Driver) ->
    receive
        {ball, _From, 0, _Content} ->
            Driver ! landed,
            play(Name, Driver);
        {ball, From, Left, Content} ->
            [{_, Pid}] = ets:lookup(?NAMES, From),
            Pid ! {ball, Name, Left - 1, Content},
            play(Name, Driver)
    end.

%% One wave after the other: the balls of all pairs are thrown from outside, and the next wave begins
%% when the last has landed.
waves(0, _Pairs, _Balls, _Hops, _Content) ->
    ok;
waves(Waves, Pairs, Balls, Hops, Content) ->
    [throw_ball(Pair, Hops, Content) || _ <- lists:seq(1, Balls), Pair <- lists:seq(0, Pairs - 1)],
    [receive landed -> ok end || _ <- lists:seq(1, Pairs * Balls)],
    waves(Waves - 1, Pairs, Balls, Hops, Content).

throw_ball(Pair, Hops, Content) ->
    [{_, Pid}] = ets:lookup(?NAMES, name(2 * Pair)),
    Pid ! {ball, name(2 * Pair + 1), Hops, Content}.
