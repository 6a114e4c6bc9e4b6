//! Which tests show what docs/differences-from-docker.md says is different on purpose: words of the document, and the tests.

/// Words of a row, and who shows that they are true: a file and the name of a test in it.
pub(super) type Shown = (&'static str, &'static [&'static str]);

pub(super) const SHOWN: &[Shown] = &[
    (
        "Containers don't find each other by name yet",
        &["tests/tests/world/differences.rs what_isnt_there_yet_is_refused_as_the_document_says"],
    ),
    ("has every key", &["tests/tests/configuration.rs the_document_has_every_key_of_both_daemons"]),
    (
        "can be killed and started again at any moment",
        &[
            "tests/tests/world/faults.rs no_request_is_lost_while_daemons_die_and_return",
            "tests/tests/world/faults.rs output_and_exit_codes_survive_the_engine",
        ],
    ),
    (
        "is thrown away after a power cut",
        &[
            "tests/tests/world/restart.rs a_policy_can_be_changed_and_limits_too",
            "tests/tests/world/build.rs a_dockerfile_becomes_an_image_once",
            "runtime/tests/run.rs no_disk_is_waited_for_where_nothing_is_wanted_after_a_power_cut",
        ],
    ),
    ("entries of nftables maps", &["tests/tests/world/ports.rs rules_do_not_grow_with_ports"]),
    (
        "A port is refused by the name of whoever holds it",
        &["tests/tests/world/ports.rs a_taken_port_is_refused_by_name"],
    ),
    (
        "are a conflict (409)",
        &["tests/tests/world/api.rs prunes_take_what_their_filters_leave_and_volumes_keep_their_options"],
    ),
    (
        "takes every name that no container has",
        &["tests/tests/world/api.rs lists_know_names_in_full_and_names_that_have_moved"],
    ),
    (
        "another source is dropped",
        &[
            "tests/tests/escapes/networks.rs a_forged_source_address_leads_nowhere",
            "kernel/tests/kernel/packets.rs no_container_passes_for_another_host",
        ],
    ),
    (
        "on bridges of IPv4-only networks",
        &[
            "tests/tests/escapes/networks.rs an_ipv4_only_network_has_no_link_local_way_around",
            "netd/tests/daemon/firewall_repair.rs a_link_without_an_ipv6_address_has_no_ipv6",
        ],
    ),
    (
        "take no router advertisements",
        &["tests/tests/escapes/networks.rs a_forged_router_advertisement_changes_no_host"],
    ),
    (
        "Programs of other ABIs",
        &[
            "runtime/src/seccomp/tests.rs the_other_abis_of_x86_64_are_told_apart",
            "runtime/tests/run.rs programs_of_32_bits_run_behind_the_default_filter",
        ],
    ),
    ("gets EPERM from the default profile", &["runtime/src/seccomp/tests.rs the_other_abis_of_x86_64_are_told_apart"]),
    (
        "a working directory can't be named by any other link of `/proc` either",
        &[
            "tests/tests/escapes/entering.rs a_working_directory_by_a_descriptor_left_open_is_refused",
            "tests/tests/escapes/entering.rs a_working_directory_by_another_process_is_refused",
        ],
    ),
    (
        "is never looked up as a name",
        &["tests/tests/escapes/users.rs a_user_who_is_called_a_number_is_not_who_the_number_means"],
    ),
    (
        "ids above 2147483647 are refused",
        &[
            "tests/tests/escapes/users.rs an_id_that_no_id_can_be_is_refused_everywhere",
            "users/src/tests.rs an_entry_with_an_id_out_of_range_is_refused",
        ],
    ),
    ("`SandboxKey`", &["tests/tests/world/many.rs namespaces_of_sandboxes_are_no_mounts_and_outlive_everybody"]),
    (
        "and then of 192.168.0.0/16",
        &["cnm/src/ipam/tests.rs routes_of_the_host_are_avoided_but_for_a_default_route_in_pieces"],
    ),
    (
        "keeps what Docker leaves out from there on",
        &[
            "tests/tests/world/api_versions.rs events_keep_their_old_words_and_come_as_the_client_reads_them",
            "tests/tests/world/shapes/mod.rs every_member_is_docker_s_or_a_wanted_difference",
        ],
    ),
    ("only if none of them is used", &["engine/src/translate/disk.rs what_is_in_use_can_not_be_set_free"]),
    (
        "a line of `/etc/hosts`, which follows",
        &["tests/tests/world/links.rs on_the_default_network_links_are_lines_of_hosts"],
    ),
    (
        "belong to other drivers are kept and shown",
        &["tests/tests/world/networks.rs networks_have_whatever_names_and_others_options"],
    ),
    ("without waiting for the disk", &["engine/src/store/tests.rs no_commit_waits_for_the_disk"]),
    (
        "Killing `berthd` costs nothing",
        &["tests/tests/world/faults.rs killed_at_any_moment_of_run_and_rm_nothing_is_left_over"],
    ),
    (
        "when its first container starts",
        &[
            "tests/tests/world/volumes.rs a_new_volume_has_what_the_image_has_there",
            "tests/tests/world/volumes.rs many_containers_begin_with_one_new_volume",
        ],
    ),
    ("unmounted when the last container ends", &["tests/tests/world/volumes.rs options_of_local"]),
    ("has 30 seconds, and its answer 8 MiB", &["plugin/src/client.rs answers_and_refusals_and_silence"]),
    (
        "that can't be read** stops nothing",
        &["tests/tests/world/seam.rs a_record_that_can_not_be_read_is_set_aside_and_stops_nothing"],
    ),
    (
        "A directory of files below `ROOT/volumes`",
        &["tests/tests/world/volumes.rs a_killed_berthd_loses_no_volume_and_leaves_no_mount"],
    ),
    (
        "What a container writes that isn't UTF-8",
        &[
            "tests/tests/world/logs.rs bytes_are_as_they_were_written_and_lines_are_lines",
            "runtime/src/monitor/json_log/record.rs what_is_no_text_is_there_byte_by_byte",
        ],
    ),
    (
        "A piece doesn't end within a character",
        &[
            "runtime/src/monitor/json_log/splitter.rs no_character_is_cut_in_two",
            "engine/src/logs/tests.rs pieces_of_a_line_are_a_line",
        ],
    ),
    (
        "a long line that finds it full half-way is cut there",
        &["runtime/src/monitor/json_log/non_blocking.rs what_finds_the_buffer_full_is_left_out_line_by_line"],
    ),
    ("A tag has up to 128 KiB", &["engine/src/container/log.rs a_template_is_whole_and_makes_no_more_than_a_tag"]),
    (
        "is refused by `logs`, and its container runs without a log",
        &[
            "engine/src/logs/tests.rs what_is_no_file_is_no_log_and_nobody_waits_for_it",
            "runtime/src/monitor/json_log/mod.rs what_is_no_file_is_refused_and_nobody_waits_for_it",
            "tests/tests/world/logs.rs a_log_that_was_tampered_with_or_torn_costs_no_other_line",
        ],
    ),
    ("connects before it reads the log", &["tests/tests/world/streams.rs streams_go_both_ways_over_any_connection"]),
    ("answer when it is gone", &["tests/tests/world/ends.rs a_restart_keeps_what_is_to_be_removed_at_the_end"]),
    ("its name is free then", &["tests/tests/world/ends.rs what_was_killed_is_dead"]),
    (
        "A `restart` that berthd died over",
        &["tests/tests/world/ends.rs a_restart_keeps_what_is_to_be_removed_at_the_end"],
    ),
    ("for five minutes after their end", &["engine/src/exec/registry.rs exit_codes_are_kept_for_a_while"]),
    ("attachments are told whenever it starts and ends", &["tests/tests/world/lifecycle.rs stats_events_info_version"]),
    (
        "is kept for the next try",
        &["images/src/store/tests/pull.rs what_came_of_a_pull_that_ended_is_kept_until_something_is_removed"],
    ),
    (
        "its digest is the same",
        &[
            "tests/tests/world/push.rs what_was_pulled_is_pushed_back_as_it_was",
            "images/src/store/tests/push.rs a_registry_takes_blobs_over_and_keeps_the_manifest",
        ],
    ),
    (
        "asks Docker Hub's index or that of the registry that the term names",
        &[
            "tests/tests/world/search.rs docker_and_berth_search",
            "images/src/registry/search.rs a_term_may_name_its_registry",
        ],
    ),
    (
        "`pull` shows no separate steps for verifying and extracting",
        &["tests/tests/world/pull.rs docker_and_berth_pull_and_run_what_is_missing"],
    ),
    ("An image for another platform", &["tests/tests/world/pull.rs platforms_and_digests"]),
    ("lists every directory above a change", &["tests/tests/world/diff.rs added_changed_deleted"]),
    (
        "what a directory that was removed and made anew has lost",
        &["images/src/diff/tests.rs a_directory_made_anew_lacks_what_was_in_it"],
    ),
    (
        "are refused if a member's name leads through a symbolic link",
        &[
            "images/src/unpack/tests.rs a_malicious_tar_is_refused_and_touches_nothing",
            "images/src/unpack/tests.rs names_and_links_that_seem_to_lead_out_stay_within",
        ],
    ),
    (
        "refuse a file whose name begins with `.wh.`",
        &[
            "images/src/store/tests/commit.rs refusals_leave_nothing",
            "build/src/copy_entries/tests.rs marks_of_layers_are_no_files",
        ],
    ),
    ("So do filters: an unknown value is refused", &["engine/src/filters/tests.rs refusals_name_what_is_wrong"]),
    (
        "are the kernel's: volumes",
        &[
            "tests/tests/escapes/mounts.rs nothing_is_mounted_over_proc_and_sys",
            "tests/tests/escapes/mounts.rs what_is_bound_of_sys_and_the_cgroups_is_the_host_s",
        ],
    ),
    (
        "The way to a mount",
        &["tests/tests/escapes/mounts.rs a_link_in_the_image_leads_nothing_to_the_kernel_s_files_or_away_from_them"],
    ),
    ("may not lead through `/proc/PID/root`", &["tests/tests/escapes/mounts.rs a_link_of_proc_is_no_source_of_a_bind"]),
    (
        "gives all of the host's `/dev` but its terminals",
        &["tests/tests/escapes/mounts.rs a_bind_of_dev_leaves_the_host_s_as_it_was"],
    ),
    (
        "A step is known by what it stands on",
        &[
            "tests/tests/world/build.rs a_dockerfile_becomes_an_image_once",
            "build/src/tests/collection.rs between_any_two_things_that_it_tells",
        ],
    ),
    (
        "`--cache-from` adds the steps of images",
        &["tests/tests/world/build.rs steps_of_an_image_that_was_built_elsewhere_are_known"],
    ),
    (
        "are built side by side and told of one after the other",
        &[
            "tests/tests/world/build.rs stages_side_by_side_and_only_those_that_are_needed",
            "engine/src/build/stage_output.rs much_is_held_back_in_a_file_and_too_much_is_lost",
        ],
    ),
    (
        "the link stays and its target is filled",
        &["tests/tests/world/build.rs copies_go_through_the_image_s_links_and_stay_in_it"],
    ),
    (
        "`--link` doesn't look at the image",
        &["build/src/tests/copies.rs layers_that_went_through_links_are_the_same_everywhere_and_known_again"],
    ),
    (
        "No SSH agent is forwarded",
        &["build/src/tests/reads.rs mounts_begin_with_what_they_say_and_go_where_the_step_works"],
    ),
    (
        "Nothing is taken from a stage that stands further down",
        &["build/src/tests/owners.rs nothing_is_taken_from_a_stage_that_comes_later"],
    ),
    (
        "publish ports of a container more or less",
        &["tests/tests/world/live_ports.rs ports_come_and_go_while_the_container_runs_and_stay_over_restarts"],
    ),
    (
        "begin with `berth: `, all of them",
        &["cli/tests/engine/failures.rs every_command_has_one_prefix_and_the_status_that_is_expected"],
    ),
    ("asks netd itself", &["cli/tests/engine/commands.rs net_asks_the_netd_of_the_berthd_that_is_named"]),
    (
        "`net ps`, what `net inspect -v` adds",
        &["tests/tests/world/command_line.rs a_table_tells_who_is_on_which_network"],
    ),
    (
        "is plain text: names, id, size",
        &["tests/tests/world/command_line.rs what_the_engine_has_no_use_for_is_refused_in_its_words"],
    ),
];
